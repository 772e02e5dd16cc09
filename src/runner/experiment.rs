//! An experiment with its place on the disk, and which runs belong to it.

use super::run::{Files, PlannedRun};
use crate::data::{SharedFile, Source};
use crate::record::{self, RunAddress};
use crate::spec::{Diagnostics, Loaded, Spec, load_experiment, resolve};
use crate::{Error, Result};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A checked experiment and where its records are.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// The experiment file.
    pub file: PathBuf,
    /// Its content.
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

    /// Every run that is asked for, variant by variant and seed by seed.
    pub fn runs(&self) -> Result<Vec<PlannedRun>> {
        self.runs_with(|_| Ok(self.loaded.seeds.clone()))
    }

    /// Every run that the experiment's summary is of: the seeds of the file and those asked for, and every other seed
    /// that a variant has finished with its present settings, in earlier commands. Seeds are in rising order.
    pub fn all_runs(&self) -> Result<Vec<PlannedRun>> {
        self.runs_with(|run| {
            let mut seeds = [self.loaded.file_seeds.as_slice(), &self.loaded.seeds].concat();
            for seed in record::recorded_seeds(&run.address.variant_dir())? {
                if !seeds.contains(&seed) && run.with_seed(seed).standing()?.is_finished() {
                    seeds.push(seed);
                }
            }
            seeds.sort_unstable();
            seeds.dedup();
            Ok(seeds)
        })
    }

    /// One run of every variant.
    pub(super) fn first_runs(&self) -> Result<Vec<PlannedRun>> {
        self.runs_with(|_| Ok(vec![0]))
    }

    /// The runs of every variant, with the seeds that `seeds` gives to a run of it.
    fn runs_with(&self, seeds: impl Fn(&PlannedRun) -> Result<Vec<u64>>) -> Result<Vec<PlannedRun>> {
        let mut runs = Vec::new();
        let mut sources: Vec<(&Source, Arc<SharedFile>)> = Vec::new();
        let mut hashes = HashMap::new();
        for variant in &self.loaded.variants {
            let toml = resolve::to_toml(&variant.spec);
            let hash = resolve::hash(&variant.spec);
            let (toml, spec_hash) = toml.and_then(|toml| Ok((toml, hash?))).map_err(|error| {
                Error::Other(format!("variant {:?} cannot be written as TOML: {error}", variant.name))
            })?;
            let files = self.files(&variant.spec, &mut hashes)?;
            let source = &variant.spec.data.source;
            let file = sources.iter().position(|(other, _)| *other == source);
            let file = file.unwrap_or_else(|| {
                sources.push((source, Arc::default()));
                sources.len() - 1
            });
            let first = PlannedRun {
                address: RunAddress {
                    results: self.results.clone(),
                    experiment: self.loaded.name.clone(),
                    variant: variant.name.clone(),
                    seed: 0,
                },
                spec: variant.spec.clone(),
                toml,
                hash: files.with_spec(&spec_hash),
                spec_hash,
                files: Arc::new(files),
                folder: self.folder().to_owned(),
                file: sources[file].1.clone(),
            };
            for seed in seeds(&first)? {
                runs.push(first.with_seed(seed));
            }
        }
        Ok(runs)
    }

    /// The hashes of the user's own data files: with other data it is another experiment. `known` are those of files
    /// that have been read before.
    fn files(&self, spec: &Spec, known: &mut HashMap<PathBuf, String>) -> Result<Files> {
        let Source::File(file) = &spec.data.source else {
            return Ok(Files::default());
        };
        let mut hashes = BTreeMap::new();
        let mut paths = Vec::new();
        for named in std::iter::once(&file.path).chain(&file.test_path) {
            let path = self.folder().join(named);
            let hash = match known.get(&path) {
                Some(hash) => hash.clone(),
                None => {
                    let mut hasher = blake3::Hasher::new();
                    let read = std::fs::File::open(&path).and_then(|file| hasher.update_reader(file).map(|_| ()));
                    read.map_err(|error| Error::io(&path, error))?;
                    let hash = hasher.finalize().to_hex().to_string();
                    known.entry(path.clone()).or_insert(hash).clone()
                }
            };
            hashes.insert(named.display().to_string(), hash);
            paths.push(path);
        }
        Ok(Files { hashes, paths })
    }
}
