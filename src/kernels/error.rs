//! Errors of loading, training, recording and drawing. Faults of experiment files are diagnostics of `latent_lab::spec`,
//! which are reported before anything runs.

use std::path::PathBuf;

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;

/// A fault while loading data, training, recording or drawing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tensor operation was refused: shapes or types do not fit, or the device failed.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The data cannot be used; the text says where, what was expected, and what to try.
    #[error("{0}")]
    Data(String),
    /// A quantity became NaN or infinite, which ends the run.
    #[error("{term} became {value} at step {step} of seed {seed}")]
    NonFinite {
        /// The term of the objective, or the parameter.
        term: String,
        /// The offending value: NaN, inf or -inf.
        value: f64,
        /// The optimiser step or sweep, counted from 0.
        step: u64,
        /// The run's seed.
        seed: u64,
    },
    /// The run was asked to stop and has written its checkpoint.
    #[error("interrupted")]
    Interrupted,
    /// A record is damaged, of another version, or belongs to another experiment.
    #[error("{0}")]
    Record(String),
    /// Another process is running this run.
    #[error("{folder}: another process is running this run; wait for it, or stop it first", folder = .0.display())]
    Held(PathBuf),
    /// A model was asked for what it does not provide. Combinations are checked before a run, so this is a fault of the
    /// program.
    #[error("internal error: the model does not provide {0}")]
    Lacking(&'static str),
    /// A function of latents was given latents of another kind: a fault of the program.
    #[error("internal error: expected {expected}, got {found}")]
    Latents {
        /// What the function takes.
        expected: &'static str,
        /// What it was given.
        found: &'static str,
    },
    /// Anything else a user can act on.
    #[error("{0}")]
    Other(String),
}

/// A capability that was asked for; `name` says what it is.
///
/// # Errors
/// [`Error::Lacking`] if there is none.
pub fn provided<T>(capability: Option<T>, name: &'static str) -> Result<T> {
    capability.ok_or(Error::Lacking(name))
}

impl Error {
    /// An input or output error that names its file.
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io {
            path: path.into(),
            source,
        }
    }
}

/// A semantic fault of a specification, found before anything runs: the structure is right, a value is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The dotted key at fault, such as `data.observed.1` (the second entry of `observed`).
    pub key: String,
    /// The fault.
    pub message: String,
    /// The expectation in a few words, shown under the quoted line.
    pub expected: String,
    /// A suggestion.
    pub help: String,
    /// Whether the key has no effect here. A key that several variants share is a fault only if it has no effect in all
    /// of them.
    pub is_unused: bool,
}

impl Fault {
    /// A fault at `key`.
    pub fn new(
        key: impl Into<String>,
        message: impl Into<String>,
        expected: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            key: key.into(),
            message: message.into(),
            expected: expected.into(),
            help: help.into(),
            is_unused: false,
        }
    }

    /// A fault at a key without effect, for this `reason`; `acts` names a setting that gives it an effect.
    pub fn unused(key: &str, reason: &str, acts: &str) -> Self {
        let name = key.rsplit('.').next().unwrap_or_default();
        Self {
            is_unused: true,
            ..Self::new(
                key,
                format!("`{name}` would change nothing: {reason}"),
                format!("{acts}, or no such key"),
                "remove it, or add the setting it needs",
            )
        }
    }

    /// The same fault, with its key prefixed by `section`, the table that holds it.
    pub fn within(mut self, section: &str) -> Self {
        self.key = format!("{section}.{}", self.key);
        self
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: {} (expected {}; {})",
            self.key, self.message, self.expected, self.help
        )
    }
}
