//! `run.json`: the identity, state and provenance of a run. It is the only file of a record that depends on the clock
//! or the machine.

use super::{Hardware, Identity, Revision, RunAddress, atomic::write_atomically, file, provenance};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The layout of a record; raised when an older program could no longer read it.
const SCHEMA_VERSION: u32 = 1;

/// The state of a run, as its process last wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Status {
    /// Running; or killed, if no process holds the lock.
    Running,
    /// Stopped on request after writing its checkpoint.
    Interrupted,
    /// Complete.
    Done,
    /// Ended by a fault. It stays in every comparison.
    Failed {
        /// What went wrong, and where.
        reason: String,
    },
}

/// The content of `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The layout of the record.
    pub schema_version: u32,
    /// The state of the run.
    #[serde(flatten)]
    pub status: Status,
    /// The experiment's name.
    pub experiment: String,
    /// The variant's name, as written in the experiment file.
    pub variant: String,
    /// The seed.
    pub seed: u64,
    /// The hash of the specification in `spec.toml` and of the data files that it names.
    pub spec_hash: String,
    /// The BLAKE3 hash of each data file that the specification names, by its path there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data_files: BTreeMap<String, String>,
    /// The programs outside this one that the run's environments run in, each with the version that began the run: Python and
    /// its packages.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub software: BTreeMap<String, String>,
    /// The version of the program that began the run.
    pub version: String,
    /// The revision of the sources of the program that began the run, if they were in a repository when it was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program_revision: Option<Revision>,
    /// The revision of the repository around the experiment file when the run began, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment_revision: Option<Revision>,
    /// In records of older programs: the revision of the repository around the working folder.
    #[serde(default, rename = "revision", skip_serializing_if = "Option::is_none")]
    pub working_folder_revision: Option<Revision>,
    /// The machine.
    pub hardware: Hardware,
    /// When the run first started, UTC.
    pub started: String,
    /// When it last ended, UTC; absent while it runs and after a kill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<String>,
    /// How often it was started: 1 without interruption.
    pub sessions: u32,
    /// Seconds on the wall clock, over all sessions; what came after the last checkpoint of a killed one is lost.
    pub wall_seconds: f64,
    /// Seconds of processor time of the run's own thread, over all sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<f64>,
    /// The most memory the process held, in bytes. Runs side by side in one process share it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// The last step with metrics, an event, or a checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_step: Option<u64>,
    /// The final metrics.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
    /// What happened to the record: recoveries, damaged files. Nothing about training.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Manifest {
    /// The manifest of a run that starts here and now.
    pub(super) fn new(address: &RunAddress, identity: &Identity) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            status: Status::Running,
            experiment: address.experiment.clone(),
            variant: address.variant.clone(),
            seed: address.seed,
            spec_hash: identity.spec_hash.to_owned(),
            data_files: identity.data_files.clone(),
            software: identity.software.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            program_revision: None,
            experiment_revision: None,
            working_folder_revision: None,
            hardware: provenance::hardware(),
            started: provenance::now(),
            finished: None,
            sessions: 0,
            wall_seconds: 0.0,
            cpu_seconds: None,
            peak_memory_bytes: None,
            last_step: None,
            metrics: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    /// Reads `run.json` of the run directory `dir`; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Record`] if it is damaged or of a newer layout, [`Error::Io`] if it cannot be read.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(file::MANIFEST);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::io(path, source)),
        };
        #[derive(Deserialize)]
        struct Layout {
            schema_version: u32,
        }
        let damaged =
            |error: serde_json::Error| Error::Record(format!("{}: not a run's manifest: {error}", path.display()));
        let Layout { schema_version } = serde_json::from_slice(&bytes).map_err(damaged)?;
        if schema_version != SCHEMA_VERSION {
            return Err(Error::Record(format!(
                "{}: written in record layout {schema_version}, this program reads layout {SCHEMA_VERSION}; use the \
                 version of latent-lab that wrote it, or make the run again with --fresh",
                path.display(),
            )));
        }
        serde_json::from_slice(&bytes).map(Some).map_err(damaged)
    }

    /// Writes `run.json` of the run directory `dir`.
    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self).map_err(|error| Error::Record(error.to_string()))?;
        text.push('\n');
        write_atomically(&dir.join(file::MANIFEST), text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_wrote() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), None);
        let mut manifest = some_manifest();
        manifest.metrics.insert("test/log_likelihood".into(), 0.1 + 0.2);
        for status in [
            Status::Running,
            Status::Done,
            Status::Failed {
                reason: "prior became NaN".into(),
            },
        ] {
            manifest.status = status;
            manifest.write(dir.path()).unwrap();
            assert_eq!(Manifest::read(dir.path()).unwrap().unwrap(), manifest);
        }
        let text = std::fs::read_to_string(dir.path().join(file::MANIFEST)).unwrap();
        assert!(
            text.contains("\"status\": \"failed\",\n  \"reason\": \"prior became NaN\""),
            "{text}"
        );
    }

    fn some_manifest() -> Manifest {
        let address = RunAddress {
            results: "results".into(),
            experiment: "tree".into(),
            variant: "mixture of 5".into(),
            seed: 3,
        };
        Manifest::new(&address, &Identity::new("seed = 3\n", "abc"))
    }

    /// Older programs wrote one revision, that of the working folder.
    #[test]
    fn an_older_record_stays_readable() {
        let dir = tempfile::tempdir().unwrap();
        let mut json = serde_json::to_value(some_manifest()).unwrap();
        json["revision"] = serde_json::json!({ "commit": "1f3c", "dirty": true });
        std::fs::write(dir.path().join(file::MANIFEST), json.to_string()).unwrap();
        let manifest = Manifest::read(dir.path()).unwrap().unwrap();
        assert_eq!((manifest.program_revision, manifest.experiment_revision), (None, None));
        assert_eq!(manifest.working_folder_revision.unwrap().commit, "1f3c");
    }

    #[test]
    fn another_layout_is_refused_by_its_number() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join(file::MANIFEST),
            r#"{"schema_version": 99, "unknown": 1}"#,
        )
        .unwrap();
        let error = Manifest::read(dir.path()).unwrap_err().to_string();
        assert!(error.contains("layout 99") && error.contains("run.json"), "{error}");
    }
}
