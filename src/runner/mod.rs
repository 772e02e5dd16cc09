//! Experiments in motion: which runs there are, running them side by side, and what they say together.
//!
//! One run is one thread; parallelism is over runs. A run that fails, fails alone.

mod baseline;
mod execute;
mod recorder;
mod reload;
mod run;
mod summary;

pub use execute::{Options, Watcher, execute, pool};
pub use reload::{Reloaded, reload};
pub use run::{Outcome, PlannedRun};
pub use summary::{MetricDocument, SeedSummary, Summary, VariantSummary, agreed, summarize};

use crate::data::{SharedFile, Source};
use crate::spec::{Diagnostics, Loaded, Spec, load_experiment, resolve};
use crate::{Error, Result, record};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A checked experiment and where its records are.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// The experiment file.
    pub file: PathBuf,
    /// What it says.
    pub loaded: Loaded<Spec>,
    /// Where records go.
    pub results: PathBuf,
}

impl Experiment {
    /// Loads and checks the experiment in `file`.
    pub fn load(file: &Path, overrides: &[String], results: &Path) -> std::result::Result<Self, Diagnostics> {
        let loaded = load_experiment(file, overrides)?;
        Ok(Self {
            file: file.to_owned(),
            loaded,
            results: results.to_owned(),
        })
    }

    /// The folder that relative paths of the file start from.
    pub fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// The folder of the experiment's records.
    pub fn dir(&self) -> PathBuf {
        record::experiment_dir(&self.results, &self.loaded.name)
    }

    /// Every run, variant by variant and seed by seed.
    pub fn runs(&self) -> Result<Vec<PlannedRun>> {
        let mut runs = Vec::new();
        let mut files: Vec<(&Source, Arc<SharedFile>)> = Vec::new();
        for variant in &self.loaded.variants {
            let toml = resolve::to_toml(&variant.spec);
            let hash = resolve::hash(&variant.spec);
            let (toml, hash) = toml.and_then(|toml| Ok((toml, hash?))).map_err(|error| {
                Error::Other(format!("variant {:?} cannot be written as TOML: {error}", variant.name))
            })?;
            let hash = self.with_data(&variant.spec, hash)?;
            let source = &variant.spec.data.source;
            let file = files.iter().position(|(other, _)| *other == source);
            let file = file.unwrap_or_else(|| {
                files.push((source, Arc::default()));
                files.len() - 1
            });
            for &seed in &self.loaded.seeds {
                runs.push(PlannedRun {
                    address: record::RunAddress {
                        results: self.results.clone(),
                        experiment: self.loaded.name.clone(),
                        variant: variant.name.clone(),
                        seed,
                    },
                    spec: variant.spec.clone(),
                    toml: toml.clone(),
                    hash: hash.clone(),
                    folder: self.folder().to_owned(),
                    file: files[file].1.clone(),
                });
            }
        }
        Ok(runs)
    }

    /// The spec's hash, with the bytes of the user's own data: other data, other experiment.
    fn with_data(&self, spec: &Spec, hash: String) -> Result<String> {
        let Source::File(file) = &spec.data.source else {
            return Ok(hash);
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(hash.as_bytes());
        for path in std::iter::once(&file.path).chain(&file.test_path) {
            let path = self.folder().join(path);
            hasher.update(&std::fs::read(&path).map_err(|error| Error::io(&path, error))?);
        }
        Ok(hasher.finalize().to_hex().to_string())
    }
}
