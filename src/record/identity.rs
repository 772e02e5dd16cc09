//! The identity of a run: what its record must agree with.

use std::collections::BTreeMap;
use std::path::Path;

/// The identity of a run: a record belongs to the run only if it agrees with this.
#[derive(Debug, Clone)]
pub struct Identity<'a> {
    /// The resolved specification, as TOML.
    pub spec_toml: &'a str,
    /// Its hash, with those of the data files that it names.
    pub spec_hash: &'a str,
    /// The BLAKE3 hash of each of these files, by its path in the specification.
    pub data_files: &'a BTreeMap<String, String>,
    /// The programs outside this one that the run's environments run in, each with its version.
    pub software: BTreeMap<String, String>,
    /// The folder of the experiment file: the record names the revision of its repository.
    pub folder: &'a Path,
}

impl<'a> Identity<'a> {
    /// The identity of a specification without data files, from an experiment file in the working folder.
    pub fn new(spec_toml: &'a str, spec_hash: &'a str) -> Self {
        static NO_FILES: BTreeMap<String, String> = BTreeMap::new();
        Self {
            spec_toml,
            spec_hash,
            data_files: &NO_FILES,
            software: BTreeMap::new(),
            folder: Path::new(""),
        }
    }
}
