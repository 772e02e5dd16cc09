//! An append-only file of JSON objects, one per line, each with a `step` that never decreases: `metrics.jsonl` and
//! `events.jsonl`.
//!
//! A killed process leaves at most one torn line, at the end. Opening the file to go on after step `s` keeps the lines
//! up to `s` and cuts the rest, which the run writes again.

use crate::error::{Error, Result};
use serde::Deserialize;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The part of a line that every line has.
#[derive(Deserialize)]
struct Stamp {
    step: u64,
}

/// The file, open at its end.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines.
    length: u64,
    /// Whole lines.
    count: u64,
    last_step: Option<u64>,
    /// Whether all of it is known to be on the disk.
    forced: bool,
}

impl Lines {
    /// Opens the file and cuts it after the last line of step `s` or earlier, of which there must be `n`, where
    /// `kept = Some((s, n))`; empties it otherwise.
    ///
    /// # Errors
    /// [`Error::Record`] if lines up to step `s` are damaged or missing; the file is then as it was.
    pub fn open(path: PathBuf, kept: Option<(u64, u64)>) -> Result<Self> {
        let (mut length, mut count, mut last_step) = (0, 0, None);
        if let Some((after, expected)) = kept {
            let bytes = read_or_empty(&path)?;
            let mut offset = 0;
            let mut beyond: Option<String> = None; // why the lines from here on should all be cut
            for (index, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
                offset += line.len() as u64;
                match parse::<Stamp>(line) {
                    Ok(Stamp { step }) if step <= after => {
                        if let Some(why) = beyond {
                            return Err(damaged(&path, &why));
                        }
                        (length, count, last_step) = (offset, count + 1, Some(step));
                    }
                    Ok(Stamp { step }) => {
                        beyond.get_or_insert(format!("line {} is of step {step}, before earlier ones", index + 1));
                    }
                    Err(why) => {
                        beyond.get_or_insert(format!("line {}: {why}", index + 1));
                    }
                }
            }
            if count != expected {
                let why = format!("{count} lines up to step {after}, but its checkpoint was written after {expected}");
                return Err(damaged(&path, &why));
            }
        }
        let open = || -> std::io::Result<File> {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)?;
            file.set_len(length)?;
            file.seek(SeekFrom::Start(length))?;
            Ok(file)
        };
        let file = open().map_err(|source| Error::io(&path, source))?;
        Ok(Self {
            path,
            file,
            length,
            count,
            last_step,
            forced: false,
        })
    }

    /// Appends one line, without its newline. The operating system has it when this returns, so a killed process loses
    /// nothing.
    ///
    /// # Errors
    /// The operating system's; the file then ends as it did before. [`Error::Record`] if `step` falls.
    pub fn append(&mut self, step: u64, mut line: String) -> Result<()> {
        if let Some(last) = self.last_step.filter(|&last| step < last) {
            return Err(Error::Record(format!(
                "{}: a line of step {step} cannot follow one of step {last}",
                self.path.display()
            )));
        }
        line.push('\n');
        self.forced = false;
        if let Err(source) = self.file.write_all(line.as_bytes()) {
            // Part of the line may be there; the error to report is the first one.
            let _ = self
                .file
                .set_len(self.length)
                .and_then(|()| self.file.seek(SeekFrom::Start(self.length)));
            return Err(Error::io(&self.path, source));
        }
        self.length += line.len() as u64;
        self.count += 1;
        self.last_step = Some(step);
        Ok(())
    }

    /// Forces everything to the disk, unless it is there.
    pub fn sync(&mut self) -> Result<()> {
        if !self.forced {
            self.file.sync_data().map_err(|source| Error::io(&self.path, source))?;
            self.forced = true;
        }
        Ok(())
    }

    /// How many lines there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The step of the last line.
    pub fn last_step(&self) -> Option<u64> {
        self.last_step
    }
}

/// Every line that can be read, and a warning for every one that cannot. A last line without its newline is torn: its
/// process was killed, or is just writing it.
pub(super) fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<(Vec<T>, Vec<String>)> {
    let bytes = read_or_empty(path)?;
    let (mut lines, mut warnings) = (Vec::new(), Vec::new());
    for (index, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        match parse(line) {
            Ok(line) => lines.push(line),
            Err(why) => warnings.push(format!("{}: line {} is left out: {why}", path.display(), index + 1)),
        }
    }
    Ok((lines, warnings))
}

/// The lines at the end of the file for which `wanted` holds, in order, back to the last line for which it does not.
/// Lines that cannot be read are left out. Earlier lines are not read, so a long file costs no more than a short one.
pub(super) fn read_last<T: for<'de> Deserialize<'de>>(path: &Path, wanted: impl Fn(&T) -> bool) -> Result<Vec<T>> {
    let bytes = read_or_empty(path)?;
    let mut lines = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some(end) = rest.len().checked_sub(1) {
        let start = rest[..end]
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        match parse(&rest[start..]) {
            Ok(line) if wanted(&line) => lines.push(line),
            Ok(_) => break,
            Err(_) => {}
        }
        rest = &rest[..start];
    }
    lines.reverse();
    Ok(lines)
}

fn parse<T: for<'de> Deserialize<'de>>(line: &[u8]) -> std::result::Result<T, String> {
    let line = line.strip_suffix(b"\n").ok_or("it is torn")?;
    serde_json::from_slice(line).map_err(|error| error.to_string())
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::Record(format!(
        "{}: {why}; restore the file, or discard the record with --fresh",
        path.display()
    ))
}

fn read_or_empty(path: &Path) -> Result<Vec<u8>> {
    match std::fs::read(path) {
        Err(source) if source.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(|source| Error::io(path, source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(step: u64) -> String {
        format!("{{\"step\":{step},\"loss\":0.5}}")
    }

    fn file_with(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn goes_on_after_the_step_as_if_never_interrupted() {
        let whole: String = [10, 20, 20, 30, 40].map(|step| line(step) + "\n").concat();
        let (_folder, path) = file_with("");
        for torn in 0..whole.len() {
            // Killed after any byte; the checkpoint is of step 20 if its lines were complete, else there is none.
            std::fs::write(&path, &whole[..torn]).unwrap();
            let after = (torn >= line(10).len() * 3 + 3).then_some(20);
            let mut lines = Lines::open(path.clone(), after.map(|step| (step, 3))).unwrap();
            assert_eq!(lines.count(), if after.is_some() { 3 } else { 0 });
            for step in [10, 20, 20, 30, 40].into_iter().filter(|&step| Some(step) > after) {
                lines.append(step, line(step)).unwrap();
            }
            assert_eq!(
                std::fs::read_to_string(&path).unwrap(),
                whole,
                "killed after {torn} bytes"
            );
        }
    }

    #[test]
    fn junk_after_the_step_goes_and_junk_before_it_is_an_error() {
        let (_folder, path) = file_with(&format!("{}\n{}\njunk\n\0\0\0", line(10), line(20)));
        assert_eq!(Lines::open(path.clone(), Some((20, 2))).unwrap().last_step(), Some(20));
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            format!("{}\n{}\n", line(10), line(20))
        );

        let text = format!("{}\njunk\n{}\n", line(10), line(20));
        std::fs::write(&path, &text).unwrap();
        let error = Lines::open(path.clone(), Some((20, 2))).unwrap_err().to_string();
        assert!(error.contains("metrics.jsonl: line 2: expected value"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "nothing is lost");
    }

    #[test]
    fn steps_never_fall() {
        let (_folder, path) = file_with("");
        let mut lines = Lines::open(path.clone(), None).unwrap();
        lines.append(20, line(20)).unwrap();
        assert!(
            lines
                .append(10, line(10))
                .unwrap_err()
                .to_string()
                .contains("step 10 cannot follow one of step 20")
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), line(20) + "\n");
    }

    #[test]
    fn the_last_lines_are_those_of_the_last_step() {
        let (_folder, path) = file_with(&format!("junk\n{}\n{}\njunk\n{}\n{{\"st", line(10), line(20), line(20)));
        let last = |step| read_last(&path, |stamp: &Stamp| stamp.step >= step).unwrap().len();
        assert_eq!((last(30), last(20), last(10)), (0, 2, 3));
        assert_eq!(read_last(Path::new("no such file"), |_: &Stamp| true).unwrap().len(), 0);
    }

    #[test]
    fn a_reader_takes_what_it_can_and_says_what_it_left_out() {
        #[derive(Deserialize)]
        struct Loss {
            loss: f64,
        }
        let (_folder, path) = file_with("{\"loss\":0.1}\n{\"los\n\n{\"loss\":1}\n{\"loss\":0.3");
        let (lines, warnings) = read::<Loss>(&path).unwrap();
        assert_eq!(lines.iter().map(|line| line.loss).collect::<Vec<_>>(), [0.1, 1.0]);
        assert_eq!(warnings.len(), 3);
        assert!(warnings[2].contains("line 5 is left out: it is torn"), "{warnings:?}");
    }
}
