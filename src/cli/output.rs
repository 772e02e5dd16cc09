//! Standard output and standard error, and their errors.
//!
//! A reader that has left (`| head`) is not an error. Anything else, such as a full disk, is one: the verb goes on, so
//! that records are written, and the program ends with an error.

use std::io::{ErrorKind, Write};
use std::sync::OnceLock;

/// The first error on standard output.
static FAILURE: OnceLock<std::io::Error> = OnceLock::new();

/// Prints to standard output; an error is kept for [`failure`].
pub(super) fn say(text: &str) {
    let mut output = std::io::stdout().lock();
    if let Err(error) = output.write_all(text.as_bytes()).and_then(|()| output.flush())
        && error.kind() != ErrorKind::BrokenPipe
    {
        let _ = FAILURE.set(error);
    }
}

/// Prints a line to standard error. Errors here are ignored.
pub(super) fn tell(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Why standard output is incomplete; none if it is complete, or if its reader has left.
pub(super) fn failure() -> Option<String> {
    FAILURE
        .get()
        .map(|error| format!("standard output is incomplete: {error}"))
}
