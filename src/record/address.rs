//! The folder of a run: `results/<experiment>/<variant>/seed-003`.
//!
//! Folder names are *injective* (two names never share a folder) and *portable* (no name is special on any system, and
//! none differs from another only by case). A plain name, lower-case words and numbers with single separators, stays
//! readable. Any other name keeps its plain part and gains `~` and the first 48 bits of its BLAKE3 hash. No plain name
//! contains a `~`, so the two kinds never collide.

use std::path::{Path, PathBuf};

/// The longest plain folder name, in bytes; file systems allow 255.
const LONGEST: usize = 80;

/// Names that Windows keeps for devices, with or without an extension.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// Names one run of one variant of one experiment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RunAddress {
    /// The folder of all records.
    pub results: PathBuf,
    /// The experiment's name.
    pub experiment: String,
    /// The variant's name, as written in the experiment file.
    pub variant: String,
    /// The seed.
    pub seed: u64,
}

impl RunAddress {
    /// The run directory.
    pub fn dir(&self) -> PathBuf {
        Self::seed_dir(&self.variant_dir(), self.seed)
    }

    /// The folder of the variant's runs.
    pub fn variant_dir(&self) -> PathBuf {
        self.experiment_dir().join(variant_folder(&self.variant))
    }

    /// The run directory of `seed` in the folder of a variant's runs.
    pub fn seed_dir(variant_dir: &Path, seed: u64) -> PathBuf {
        variant_dir.join(format!("seed-{seed:03}"))
    }

    /// The folder of the experiment.
    pub fn experiment_dir(&self) -> PathBuf {
        experiment_dir(&self.results, &self.experiment)
    }
}

/// The folder of the experiment `name`: all its variants, its summary, its figures.
pub fn experiment_dir(results: &Path, name: &str) -> PathBuf {
    results.join(experiment_folder(name))
}

/// The seed that a folder name such as `seed-003` stands for.
pub(super) fn seed_of_folder(name: &str) -> Option<u64> {
    let seed = name.strip_prefix("seed-")?.parse().ok()?;
    (name == format!("seed-{seed:03}")).then_some(seed)
}

/// An experiment's name is mostly a file's stem: `old-faithful` and `old_faithful` stay as they are.
fn experiment_folder(name: &str) -> String {
    if is_plain(name, "-_.=") {
        name.to_owned()
    } else {
        hashed(name)
    }
}

/// A variant's name is mostly a phrase: a space becomes `-`, and so a hyphen becomes `--`.
fn variant_folder(name: &str) -> String {
    if is_plain(name, " -_.=") {
        name.replace('-', "--").replace(' ', "-")
    } else {
        hashed(name)
    }
}

/// Whether `name` consists of `[a-z0-9]+` words with exactly one of the `separators` between two of them.
fn is_plain(name: &str, separators: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let stem = name.split('.').next().unwrap_or_default();
    let is_port = stem.len() == 4 && (stem.starts_with("com") || stem.starts_with("lpt"));
    name.len() <= LONGEST / 2
        && name.split(|c| separators.contains(c)).all(word)
        && !DEVICES.contains(&stem)
        && !is_port
}

/// The letters and digits of `name`, as far as they are plain, and its hash.
fn hashed(name: &str) -> String {
    let mut folder = String::new();
    for c in name.chars().map(|c| c.to_ascii_lowercase()) {
        if folder.len() >= LONGEST / 2 {
            break;
        }
        if c.is_ascii_alphanumeric() {
            folder.push(c);
        } else if !folder.is_empty() && !folder.ends_with('-') {
            folder.push('-');
        }
    }
    let hash = blake3::hash(name.as_bytes()).to_hex();
    let stem = match folder.trim_end_matches('-') {
        "" => "name",
        stem => stem,
    };
    format!("{stem}~{}", &hash[..12])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_names_stay_readable() {
        assert_eq!(variant_folder("8 posterior samples"), "8-posterior-samples");
        assert_eq!(variant_folder("semi-amortised"), "semi--amortised");
        assert_eq!(variant_folder("learning_rate=0.01"), "learning_rate=0.01");
        assert_eq!(experiment_folder("old-faithful"), "old-faithful");
        let address = RunAddress {
            results: "results".into(),
            experiment: "tree".into(),
            variant: "mixture of 5".into(),
            seed: 3,
        };
        assert_eq!(address.dir(), PathBuf::from("results/tree/mixture-of-5/seed-003"));
    }

    #[test]
    fn look_alikes_are_kept_apart() {
        let names = [
            "", " ", ".", "..", "../x", "/", "~", "a b", "a-b", "a--b", "a  b", "A b", "a b ", "-a b", "a_b", "a.b",
            "a/b", "a\\b", "con", "CON", "con.x", "com1", "aux", "ä", "ö", "a\0b", "seed-003",
        ];
        for folder in [variant_folder, experiment_folder] {
            let mut folders: Vec<String> = names.iter().map(|name| folder(name).to_lowercase()).collect();
            folders.sort();
            folders.dedup();
            assert_eq!(folders.len(), names.len(), "{folders:?}");
        }
    }

    #[test]
    fn a_seed_folder_reads_back() {
        assert_eq!(seed_of_folder("seed-003"), Some(3));
        assert_eq!(seed_of_folder("seed-12345"), Some(12345));
        for other in ["seed-3", "seed-", "seed-x", "figures", "seed-0003", "seed-+03"] {
            assert_eq!(seed_of_folder(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn folders_are_injective_and_portable(a in "[a-cA-C1 ._~/=-]{0,6}|\\PC{0,60}", b in "[a-cA-C1 ._~/=-]{0,6}") {
            for folder in [variant_folder, experiment_folder] {
                let name = folder(&a);
                prop_assert_eq!(a == b, name.to_lowercase() == folder(&b).to_lowercase());
                prop_assert!(!name.is_empty() && name.len() <= LONGEST + 13);
                prop_assert!(name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-_.=~".contains(&c)));
                prop_assert!(!name.starts_with(['.', '-', '~']) && !name.ends_with('.'));
            }
        }
    }
}
