//! NumPy's arrays in every type and order, and files whose headers are wrong.

use latent_lab::data::{DataConfig, Rows, SharedFile, Splits};
use latent_lab::error::Fault;
use latent_lab::math::streams::Streams;
use proptest::prelude::*;
use std::io::Write;
use std::path::Path;

const FIXTURES: &str = "tests/fixtures";

/// The rows that the keys of `[data]` name, in `folder`.
pub fn load(folder: &Path, keys: &str, rows: Rows) -> Result<Splits, Fault> {
    let text = format!("source = \"file\"\n{keys}");
    let data: DataConfig = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    data.load_sharing(&SharedFile::default(), folder, rows, &Streams::new(0))
}

/// The observed values of `keys`, or the fault.
pub fn values(folder: &Path, keys: &str, rows: Rows) -> Result<Vec<f64>, String> {
    match load(folder, keys, rows) {
        Ok(splits) => Ok(splits.train.observed.values().to_vec()),
        Err(fault) => Err(fault.to_string()),
    }
}

fn fixture(file: &str, names: &str, keys: &str) -> Result<Vec<f64>, String> {
    let rows = if keys.is_empty() {
        Rows::Independent
    } else {
        Rows::Steps
    };
    let keys = format!("path = \"{file}\"\nobserved = [{names}]\n{keys}");
    values(Path::new(FIXTURES), &keys, rows)
}

/// The file of `bytes` called `name`, with the observed column `x`.
fn written(name: &str, bytes: &[u8], observed: &str) -> Result<Vec<f64>, String> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(name), bytes).expect("a file");
    let keys = format!("path = {name:?}\nobserved = [{observed:?}]");
    values(folder.path(), &keys, Rows::Independent)
}

/// What NumPy wrote (`scripts/fixtures/arrays.py`), compressed or not, is read back to the number.
#[test]
fn every_type_byte_order_and_memory_order() {
    let numbers = vec![0.0, 1.0, 1.0, 0.0, 2.0, 3.0, 4.0, 1.0];
    for file in ["arrays.npz", "arrays_compressed.npz"] {
        for kind in ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"] {
            for order in ["little", "big", "little_fortran", "big_fortran"] {
                let name = format!("{kind}_{order}");
                assert_eq!(
                    fixture(file, &format!("{name:?}"), ""),
                    Ok(numbers.clone()),
                    "{file}: {name}"
                );
            }
        }
        let truths = numbers
            .iter()
            .map(|number| f64::from(u8::from(*number != 0.0)))
            .collect();
        assert_eq!(fixture(file, "\"boolean\"", ""), Ok(truths));
        // Two sequences of four steps.
        let counted: Vec<f64> = (0..24).map(f64::from).collect();
        assert_eq!(fixture(file, "\"cube_fortran\"", ""), Ok(counted));
    }
    assert_eq!(fixture("fortran.npy", "\"array\"", ""), Ok(numbers));
    assert_eq!(fixture("fortran.npy", "\"1\"", ""), Ok(vec![1.0, 0.0, 3.0, 1.0]));
    let fault = fixture("fortran.npy", "\"2\"", "").expect_err("two columns");
    assert!(
        fault.contains("\"array\" for all of it, or a column from \"0\" to \"1\""),
        "{fault}"
    );
}

/// Of steps 0 to 4, step 3 is missing, for every unit of dates.
#[test]
fn dates_of_arrays_are_times() {
    for (time, missing) in [("days", 1), ("months", 1), ("seconds", 1)] {
        let read = fixture("arrays.npz", "\"f8_little\"", &format!("time = {time:?}")).expect("a sequence");
        assert_eq!(read.len(), 2 * (4 + missing), "{time}");
        assert!(
            read[6].is_nan() && read[7].is_nan() && read[8] == 4.0,
            "{time}: {read:?}"
        );
    }
    let fault = fixture("arrays.npz", "\"days\"", "").expect_err("no numbers");
    assert!(fault.contains("holds dates"), "{fault}");
}

#[test]
fn arrays_that_are_no_numbers_say_what_to_save() {
    for (name, what, help) in [
        ("text", "holds text", "CSV"),
        ("bytes", "holds text", "CSV"),
        ("complex", "holds complex numbers", "`complex.real`"),
        ("records", "structured", "fields"),
        ("objects", "holds Python objects", "astype"),
        ("f8", "no column `f8`", "it has: "),
    ] {
        let fault = fixture("arrays.npz", &format!("{name:?}"), "").expect_err(name);
        assert!(fault.contains(what) && fault.contains(help), "{fault}");
    }
    let fault = fixture("arrays.npz", "\"f8_little\"", "separator = \";\"").expect_err("a key for text");
    assert!(fault.contains("`separator` is for CSV files"), "{fault}");
}

/// An array of f64 with this header, and these bytes behind it.
fn npy(header: &str, bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(header.len()).expect("a short header").to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), bytes].concat()
}

fn header(shape: &str) -> String {
    format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n")
}

fn eight_numbers() -> Vec<u8> {
    (0..8).flat_map(|number| f64::from(number).to_le_bytes()).collect()
}

/// An archive with one array called `x`.
fn npz(array: &[u8], method: zip::CompressionMethod) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    archive.start_file("x.npy", options).expect("an entry");
    archive.write_all(array).expect("an array");
    archive.finish().expect("an archive").into_inner()
}

#[test]
fn wrong_headers_are_refused_before_memory_is_allocated() {
    let expected: Vec<f64> = (0..8).map(f64::from).collect();
    assert_eq!(
        written("p.npy", &npy(&header("(8,)"), &eight_numbers()), "array"),
        Ok(expected)
    );
    let deep = "(".repeat(9_000);
    for shape in [
        "(9,)",
        "(7,)",
        "(-8,)",
        "(8.0,)",
        "()",
        "(1152921504606846976, 1152921504606846976)",
        "(0, 9223372036854775807, 9223372036854775807)",
        "(100000000000000000000000000000000,)",
        "(0x7fffffffffffffff, 0x7fffffffffffffff)",
        "(1_000_000,)",
        "(2305843009213693953,)",
        "8",
        "None",
        &deep,
    ] {
        let text = npy(&header(shape), &eight_numbers());
        for (name, bytes, observed) in [
            ("p.npy", text.clone(), "array"),
            ("p.npz", npz(&text, zip::CompressionMethod::Stored), "x"),
            ("p.npz", npz(&text, zip::CompressionMethod::Deflated), "x"),
        ] {
            let fault = written(name, &bytes, observed).expect_err(shape);
            assert!(fault.len() < 1000, "{fault}");
        }
    }
    // A header that goes on for four gigabytes.
    let long = [
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
        header("(8,)").as_bytes(),
        &eight_numbers(),
    ]
    .concat();
    assert!(
        written("p.npy", &long, "array")
            .expect_err("long")
            .contains("its header has 4294967295 bytes")
    );
    for missing in 0..8 {
        let text = npy(&header("(8,)"), &eight_numbers()[missing * 8..][..7]);
        assert!(written("p.npy", &text, "array").is_err());
    }
}

#[test]
fn damage_inside_an_archive_is_seen() {
    let whole = npz(&npy(&header("(8,)"), &eight_numbers()), zip::CompressionMethod::Stored);
    assert!(written("p.npz", &whole, "x").is_ok());
    let at = whole
        .windows(8)
        .position(|bytes| bytes == 5.0_f64.to_le_bytes())
        .expect("the number 5");
    let mut damaged = whole;
    damaged[at + 6] ^= 1;
    let fault = written("p.npz", &damaged, "x").expect_err("another checksum");
    assert!(fault.contains("checksum"), "{fault}");
}

/// Small files that decompress to more than 200 times their size are refused; smaller arrays of zeros are read.
#[test]
fn decompression_bombs_are_refused() {
    let zeros = |count: usize| npy(&header(&format!("({count},)")), &vec![0; count * 8]);
    let bomb = npz(&zeros(5 << 20), zip::CompressionMethod::Deflated);
    assert!(bomb.len() < 1 << 17);
    let fault = written("p.npz", &bomb, "x").expect_err("a bomb");
    assert!(fault.contains("more than 200 times its size"), "{fault}");
    let honest = npz(&zeros(1 << 16), zip::CompressionMethod::Deflated);
    assert_eq!(written("p.npz", &honest, "x").map(|values| values.len()), Ok(1 << 16));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(b"x\n").expect("text");
    for _ in 0..40 {
        gzip.write_all(&b"1\n".repeat(1 << 19)).expect("text");
    }
    let fault = written("p.csv.gz", &gzip.finish().expect("gzip"), "x").expect_err("a bomb");
    assert!(fault.contains("more than 200 times its size"), "{fault}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    /// Any damage to a file is read or refused; the program stays alive.
    #[test]
    fn any_damage(
        file in 0..5_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        digits in prop::collection::vec((any::<prop::sample::Index>(), "[0-9(),'x_<>|LfiuSUOM]{1,3}"), 0..3),
        length in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let text = b"x;t\n1,5;2020-01-31\nNA;2020-02-29\n-2,5;2020-03-31\n1e3;2020-04-30\n".to_vec();
        let array = npy(&header("(8,)"), &eight_numbers());
        let (name, observed, mut bytes) = match file {
            0 => ("p.csv", "x", text),
            1 => {
                let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gzip.write_all(&text).expect("text");
                ("p.csv.gz", "x", gzip.finish().expect("gzip"))
            }
            2 => ("p.npy", "array", array),
            3 => ("p.npz", "x", npz(&array, zip::CompressionMethod::Stored)),
            _ => ("p.npz", "x", npz(&array, zip::CompressionMethod::Deflated)),
        };
        for (at, byte) in &changes {
            *at.get_mut(&mut bytes) = *byte;
        }
        for (at, digits) in &digits {
            let at = at.index(bytes.len());
            let end = (at + digits.len()).min(bytes.len());
            bytes.splice(at..end, digits.bytes());
        }
        if let Some(length) = length {
            bytes.truncate(length.index(bytes.len()));
        }
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(name), &bytes).expect("a file");
        let time = if file < 2 { "time = \"t\"" } else { "" };
        let keys = format!("path = {name:?}\nobserved = [{observed:?}]\n{time}");
        if let Err(fault) = values(folder.path(), &keys, Rows::Steps) {
            prop_assert!(fault.len() < 1000, "{}", fault);
        }
    }
}
