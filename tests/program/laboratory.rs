//! A scratch folder with an experiment file in it, and the program to run there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small density experiment of two variants with two seeds: some milliseconds of work.
pub const SMALL: &str = r#"question = "How many clusters?"
seeds = 2

[data]
source = "three_clusters"
train = 40
test = 20

[model]
kind = "gaussian_mixture"
components = 2

[training]
optimizer = "em"
steps = 3

[[variant]]
name = "two"

[[variant]]
name = "three"
model.components = 3
"#;

/// What the program said, and how it ended.
#[derive(Debug)]
pub struct Said {
    /// The exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// The output, after the exit code has been looked at.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

/// A folder that is gone after the test.
pub struct Laboratory {
    folder: tempfile::TempDir,
}

impl Laboratory {
    /// An empty one.
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a scratch folder"),
        }
    }

    /// One with the experiment file `e.toml`.
    pub fn with(experiment: &str) -> Self {
        Self::new().and("e.toml", experiment)
    }

    /// The same with one more file.
    pub fn and(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.path(name), content).expect("a file");
        self
    }

    /// Where `name` is.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program, about to start in the folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_latent-lab"));
        command.args(arguments).current_dir(self.folder.path());
        for variable in ["CLICOLOR_FORCE", "CLICOLOR", "NO_COLOR", "COLUMNS"] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs the program to its end.
    #[track_caller]
    pub fn say(&self, arguments: &[&str]) -> Said {
        Self::hear(self.command(arguments))
    }

    /// The same where `python3` finds a stand-in for Gymnasium, for an example that names no interpreter. It asks no more of
    /// the machine than Python.
    #[track_caller]
    pub fn with_stand_ins(&self, arguments: &[&str]) -> Said {
        let mut command = self.command(arguments);
        command.env(
            "PYTHONPATH",
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gymnasium"),
        );
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        Self::hear(command)
    }

    #[track_caller]
    fn hear(mut command: Command) -> Said {
        let output = command.output().expect("the program starts");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        Said {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    /// Every file below `name`, with its bytes; nothing where there is no such folder.
    pub fn files(&self, name: &str) -> BTreeMap<String, Vec<u8>> {
        fn walk(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) {
            let Ok(entries) = std::fs::read_dir(folder) else { return };
            for entry in entries.map(|entry| entry.expect("an entry")) {
                let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
                if entry.path().is_dir() {
                    walk(&entry.path(), &format!("{name}/"), files);
                } else if let Ok(bytes) = std::fs::read(entry.path()) {
                    // An unfinished file of a running program may be gone again.
                    files.insert(name, bytes);
                }
            }
        }
        let mut files = BTreeMap::new();
        walk(&self.path(name), "", &mut files);
        files
    }

    /// The files that must be reproducible byte for byte: numbers, events and checkpoints.
    pub fn promised(&self, name: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = self.files(name);
        files.retain(|name, _| {
            let end = name.rsplit('/').next().unwrap_or_default();
            ["metrics.jsonl", "events.jsonl", "checkpoint.safetensors"].contains(&end)
        });
        files
    }
}
