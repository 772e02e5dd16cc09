//! The bytes of a file, plain or decompressed, with a limit on how far they may expand.

use super::columns::unreadable;
use crate::error::Fault;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Compressed data may always grow to this many bytes.
pub(super) const FREE: usize = 32 << 20;

/// Beyond [`FREE`], data that grow more than this are refused. Tables of numbers shrink to about a third; one repeated
/// byte shrinks a thousandfold.
pub(super) const LARGEST_RATIO: usize = 200;

/// The file at `path`, named under `key`, decompressed where its name ends in `.gz`.
pub(super) fn read(path: &Path, key: &str) -> Result<Vec<u8>, Fault> {
    check_regular(path, key)?;
    let bytes = std::fs::read(path).map_err(|error| unreadable(key, path, error))?;
    let is_gzip = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gz"));
    let fault = |what: &str, expected: &str, help: &str| {
        let message = format!("{} {what}", path.display());
        Err(Fault::new(key, message, expected, help))
    };
    match (is_gzip, &bytes[..]) {
        (true, _) => decompress(&bytes, path, key),
        (false, [0x1f, 0x8b, ..]) => fault(
            "is compressed by gzip",
            "a name that ends in .csv.gz or .tsv.gz",
            "rename the file, or decompress it",
        ),
        (false, [b'P', b'K', 3, 4, ..]) => fault(
            "is a ZIP archive or a spreadsheet, not text",
            "a text file",
            "save the sheet as CSV; NumPy archives end in .npz",
        ),
        (false, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) => fault(
            "is UTF-16 text",
            "a file in UTF-8",
            "save it as UTF-8 (Excel: \"CSV UTF-8\")",
        ),
        _ => Ok(bytes),
    }
}

/// Refuses folders and devices: they are not data, and a device may never end.
pub(super) fn check_regular(path: &Path, key: &str) -> Result<(), Fault> {
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(key, path, error))?;
    if metadata.is_file() {
        return Ok(());
    }
    let what = if metadata.is_dir() {
        "a folder"
    } else {
        "not a regular file"
    };
    Err(Fault::new(
        key,
        format!("{} is {what}", path.display()),
        "a file",
        "name the file itself; a pipe cannot be read twice",
    ))
}

/// Opens the file at `path`, named under `key`, and returns its size in bytes.
pub(super) fn open(path: &Path, key: &str) -> Result<(File, u64), Fault> {
    check_regular(path, key)?;
    let opened = File::open(path).and_then(|file| file.metadata().map(|metadata| (file, metadata.len())));
    opened.map_err(|error| unreadable(key, path, error))
}

fn decompress(bytes: &[u8], path: &Path, key: &str) -> Result<Vec<u8>, Fault> {
    let mut decoder = MultiGzDecoder::new(bytes);
    let (mut text, mut chunk) = (Vec::new(), vec![0; 1 << 16]);
    // Where the latest FREE bytes began, in the decompressed text and in the file.
    let mut window = (0, 0);
    loop {
        let count = decoder.read(&mut chunk).map_err(|error| {
            Fault::new(
                key,
                format!("{} cannot be decompressed: {error}", path.display()),
                "a complete gzip file",
                "check it with `gzip -t`, or decompress it",
            )
        })?;
        if count == 0 {
            return Ok(text);
        }
        text.extend_from_slice(&chunk[..count]);
        if text.len() - window.0 >= FREE {
            let consumed = bytes.len() - decoder.get_ref().len();
            if text.len() - window.0 > LARGEST_RATIO * (consumed - window.1).max(1) {
                return Err(too_compressed(key, path, "decompress the file if it is what you mean"));
            }
            window = (text.len(), consumed);
        }
    }
}

/// The fault of data that expand too much.
pub(super) fn too_compressed(key: &str, path: &Path, help: &str) -> Fault {
    Fault::new(
        key,
        format!("{} expands to more than {LARGEST_RATIO} times its size", path.display()),
        "compressed data of ordinary content",
        help,
    )
}
