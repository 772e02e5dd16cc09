//! The experiment files of the lecture figures as part of the program, so that `latent-lab figure NAME` works in any
//! folder.

use crate::error::Error;
use std::path::PathBuf;

/// A file below `experiments/` with its bytes.
macro_rules! shipped {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/experiments/", $path)))),*]
    };
}

/// The experiment file of every figure, and the data that they name.
const FILES: &[(&str, &[u8])] = shipped![
    "data/digits.npz",
    "data/nile.csv",
    "latent_state/growth_study.toml",
    "latent_state/nile.toml",
    "latent_state/planar.toml",
    "latent_state/sequence_posteriors.toml",
    "lecture/bounds.toml",
    "lecture/clusters.toml",
    "lecture/collapse.toml",
    "lecture/density.toml",
    "lecture/digits.toml",
    "lecture/gap.toml",
    "lecture/responsibilities.toml",
    "lecture/latent.toml",
    "lecture/latent_state.toml",
    "lecture/latent_state_from_images.toml",
    "lecture/mixture_density_network.toml",
    "lecture/neural_latent_state.toml",
    "lecture/objectives.toml",
    "lecture/posterior.toml",
    "lecture/regression.toml",
    "lecture/sampling.toml",
    "lecture/tree.toml",
    "objectives/bounds_of_sequences.toml",
    "objectives/mixture_of_twenty_posteriors.toml",
];

/// The files in a temporary folder, which is removed in the end.
pub(super) struct Shipped(tempfile::TempDir);

impl Shipped {
    /// Writes the files.
    ///
    /// # Errors
    /// If there is no temporary folder that can be written to.
    pub(super) fn unpack() -> Result<Self, Error> {
        let folder = tempfile::Builder::new().prefix("latent-lab-").tempdir();
        let folder = folder.map_err(|error| Error::io(std::env::temp_dir(), error))?;
        for (name, bytes) in FILES {
            let path = folder.path().join(name);
            let parent = path.parent().unwrap_or(folder.path());
            std::fs::create_dir_all(parent).map_err(|error| Error::io(parent, error))?;
            std::fs::write(&path, bytes).map_err(|error| Error::io(&path, error))?;
        }
        Ok(Self(folder))
    }

    /// The folder that the figures' experiment files are relative to.
    pub(super) fn folder(&self) -> PathBuf {
        self.0.path().join("lecture")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::lecture::FIGURES;
    use crate::runner::Experiment;

    /// Loading an experiment reads its data, so nothing is missing of any figure.
    #[test]
    fn every_figure_has_its_files() {
        let shipped = Shipped::unpack().expect("a folder");
        for figure in FIGURES {
            let file = shipped.folder().join(figure.experiment);
            let experiment = Experiment::load(&file, &[], &shipped.folder());
            assert!(experiment.is_ok(), "{}: {experiment:?}", figure.name);
        }
    }
}
