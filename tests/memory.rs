//! How many bytes the program holds for large data, by an allocator that counts.

use candle_core::{DType, Device};
use latent_lab::data::{Batches, DataConfig, Rows, SharedFile};
use latent_lab::math::streams::Streams;
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, counting the bytes in use.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SIDE: usize = 48;
/// The bytes of a pair of frames.
const PAIR: usize = SIDE * SIDE * 2;
const MEGABYTE: usize = 1_000_000;

/// `count` pairs of frames of noise in grey, between black margins, as an array `[N, 48, 48, 2]`.
fn write_pairs(mut file: impl Write, count: usize) {
    let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({count}, {SIDE}, {SIDE}, 2), }}\n");
    let length = u16::try_from(header.len()).expect("a short header").to_le_bytes();
    file.write_all(&[b"\x93NUMPY\x01\x00", &length[..], header.as_bytes()].concat())
        .expect("a header");
    let mut state = 1_u64;
    for _ in 0..count {
        let pixel = |at: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let is_inside = (2..SIDE - 2).contains(&(at / 2 % SIDE));
            if is_inside { (state >> 56) as u8 } else { 0 }
        };
        let pair: Vec<u8> = (0..PAIR).map(pixel).collect();
        file.write_all(&pair).expect("frames");
    }
}

/// The bytes that the data of eight runs on `path` hold, and those of a batch of 100 pairs while there is one.
fn held(folder: &Path, path: &str, observed: &str, standardize: bool) -> (usize, usize) {
    let keys = format!("source = \"file\"\npath = {path:?}\nobserved = [{observed:?}]\ntest_fraction = 0.25");
    let keys = format!("{keys}\nvalidation_fraction = 0.1\nstandardize = {standardize}");
    let data: DataConfig = toml::from_str(&keys).expect("keys");
    let before = HELD.load(Ordering::Relaxed);
    let shared = SharedFile::default();
    let load = |seed| data.load_sharing(&shared, folder, Rows::Independent, &Streams::new(seed));
    let splits: Vec<_> = (0..8).map(|seed| load(seed).expect("frames")).collect();
    let all = HELD.load(Ordering::Relaxed) - before;
    let batches = Batches::new(&splits[7].train, DType::F32, &Device::Cpu);
    let batches = batches.repeated(100).expect("batches");
    let before = HELD.load(Ordering::Relaxed);
    let batch = batches.narrow(100, 100).expect("a batch");
    let one = HELD.load(Ordering::Relaxed) - before;
    assert_eq!(batch.observed.dims(), [100, PAIR]);
    (all, one)
}

/// Tests that count bytes run one at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// 20,000 pairs of 48×48 frames that a run collects are 92 MB as bytes; actions, states and lists add less than 1 MB.
#[test]
fn collected_frames_are_held_as_bytes() {
    let _alone = ALONE.lock();
    let keys = "source = \"exploration\"\nenvironment = \"pendulum\"\ntrain = 20_000\ntest = 10";
    let data: DataConfig = toml::from_str(&format!("{keys}\nvalidation_fraction = 0.1")).expect("keys");
    let before = HELD.load(Ordering::Relaxed);
    let splits = data.load(Path::new(""), &Streams::new(0)).expect("frames");
    let held = HELD.load(Ordering::Relaxed) - before;
    println!("20,000 collected pairs: {held} bytes");
    assert!((20_000 * PAIR..20_000 * PAIR + 2 * MEGABYTE).contains(&held), "{held}");
    assert_eq!(splits.train.observed.columns(), PAIR);
}

/// 20,000 pairs of 48×48 frames are 92 MB as bytes and would be 737 MB in f64, for each of the eight runs. Uncompressed,
/// they stay in their file; compressed, they are bytes in memory. Runs share them and hold lists of rows.
#[test]
fn frames_are_held_as_bytes_once_for_all_runs() {
    let _alone = ALONE.lock();
    let folder = tempfile::tempdir().expect("a folder");
    let file = std::fs::File::create(folder.path().join("plain.npy")).expect("a file");
    write_pairs(std::io::BufWriter::new(file), 20_000);
    let (all, batch) = held(folder.path(), "plain.npy", "array", false);
    println!("20,000 pairs in a file: {all} bytes for eight runs, {batch} for a batch of 100 pairs");
    assert!(all < 3 * MEGABYTE, "{all}");
    // A batch is numbers of its own, in f32.
    assert!((4 * 100 * PAIR..=4 * 100 * PAIR + 10_000).contains(&batch), "{batch}");

    let count = 1_000;
    let file = std::fs::File::create(folder.path().join("small.npz")).expect("a file");
    let mut archive = zip::ZipWriter::new(file);
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    archive.start_file("frames.npy", options).expect("an entry");
    write_pairs(&mut archive, count);
    archive.finish().expect("an archive");
    let (all, _) = held(folder.path(), "small.npz", "frames", true);
    println!(
        "{count} compressed pairs: {all} bytes for eight runs; in the file they are {}",
        count * PAIR
    );
    assert!((count * PAIR..count * PAIR + 2 * MEGABYTE).contains(&all), "{all}");
}
