//! The text of an experiment file, or why it cannot be read.

use std::path::Path;

use super::diagnostic::Diagnostic;

/// The largest experiment file, in bytes.
const LARGEST_FILE: u64 = 4 << 20;

/// The text of the file.
pub(super) fn read(path: &Path) -> Result<String, Box<Diagnostic>> {
    let shown = path.display();
    let refuse = |message: String, help: &str| Box::new(Diagnostic::error(message).help(help));
    if path.is_dir() {
        return Err(refuse(
            format!("{shown} is a folder"),
            "name the experiment file in it, which ends in .toml",
        ));
    }
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > LARGEST_FILE) {
        return Err(refuse(
            format!("{shown} has more than {LARGEST_FILE} bytes"),
            "name an experiment file; data go into a CSV or NPZ file that it names",
        ));
    }
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound if shown.to_string().contains('=') => refuse(
            format!("there is no file {shown}"),
            &format!("to change a key of the experiment, write --set {shown}"),
        ),
        std::io::ErrorKind::NotFound => refuse(
            format!("there is no file {shown}"),
            "paths are relative to the folder you are in",
        ),
        _ => refuse(
            format!("{shown} cannot be read: {error}"),
            "check the permissions of the file",
        ),
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        refuse(
            format!("{shown} is not UTF-8 text: line {line} has other bytes"),
            "save the file as UTF-8",
        )
    })
}
