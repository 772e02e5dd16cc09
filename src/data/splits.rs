//! The rows of one seed, drawn or read and split.
//!
//! All draws of one seed come from the streams `data/train`, `data/test` and `data/split`, so every variant of an
//! experiment sees the same rows for the same seed.

use super::file::{Contents, Rows, SharedFile};
use super::generator::GeneratorKind;
use super::oracle::{oracle, sequence_oracle};
use super::source::{DataConfig, Source, no_population};
use super::split::{check_drawn, check_weights, split};
use super::stored::Stored;
use super::{Dataset, Field, Standardization, Table};
use crate::Result;
use crate::error::Fault;
use crate::math::nonlinear::Predictor;
use crate::math::streams::Streams;
use latent_lab_envs as envs;
use std::path::Path;

/// The rows of one seed, in the units that the model sees.
#[derive(Debug, Clone)]
pub struct Splits {
    /// For fitting.
    pub train: Dataset,
    /// For early stopping.
    pub validation: Option<Dataset>,
    /// For scoring only.
    pub test: Option<Dataset>,
    /// The standardisation of the columns; the identity unless `standardize` is set.
    pub standardization: Standardization,
    /// The generator's p(z), if its data have components.
    pub true_prior: Option<Vec<f64>>,
    /// The generator's state space, in the data's units, if it is one.
    pub truth: Option<Predictor>,
    /// Mean log-density of the test rows under the generator, in nats per datum in the data's units: exact, summed over a
    /// grid, or a particle estimate.
    pub oracle: Option<f64>,
    /// Standard error of [`Splits::oracle`] if it is a particle estimate, in nats per datum.
    pub oracle_standard_error: Option<f64>,
}

impl Splits {
    /// The same rows in another form, which `form` gives of each part; as they are where it gives none.
    ///
    /// # Errors
    /// Those of `form`.
    pub fn in_form(&self, form: impl Fn(&Dataset) -> Result<Option<Dataset>>) -> Result<Self> {
        let part = |rows: &Dataset| -> Result<Dataset> { Ok(form(rows)?.unwrap_or_else(|| rows.clone())) };
        Ok(Self {
            train: part(&self.train)?,
            validation: self.validation.as_ref().map(part).transpose()?,
            test: self.test.as_ref().map(part).transpose()?,
            ..self.clone()
        })
    }
}

impl DataConfig {
    /// Draws or reads the rows of one seed; `folder` is the experiment file's.
    /// The rows of a file are independent, unless its keys or arrays say otherwise.
    pub fn load(&self, folder: &Path, streams: &Streams) -> std::result::Result<Splits, Fault> {
        self.load_sharing(&SharedFile::default(), folder, Rows::Independent, streams)
    }

    /// The same for a model that interprets rows as `rows`, with the file that runs share if the source is one.
    pub fn load_sharing(
        &self,
        shared: &SharedFile,
        folder: &Path,
        rows: Rows,
        streams: &Streams,
    ) -> std::result::Result<Splits, Fault> {
        let (mut train, mut test) = match &self.source {
            Source::File(file) => {
                let Contents { rows, test, .. } = shared.read(file, folder, rows)?;
                if file.test_fraction > 0.0 {
                    let (train, test) = split(rows, file.test_fraction, streams, "data/split");
                    (train, Some(test))
                } else {
                    (rows.clone(), test.clone())
                }
            }
            Source::Generator(generator) => {
                let rows = self.train.unwrap_or(1000);
                let dataset = |points| dataset(points, &**generator);
                if self.population {
                    let points = generator
                        .population(rows)
                        .ok_or_else(|| no_population(generator.name()))?;
                    let grid = dataset(points);
                    (grid.clone(), Some(grid))
                } else {
                    let draw = |rows, name| {
                        let points = generator.try_draw(rows, &mut streams.named(name).at(0));
                        points.map(dataset).map_err(stopped)
                    };
                    (
                        draw(rows, "data/train")?,
                        Some(draw(self.test.unwrap_or(rows), "data/test")?),
                    )
                }
            }
        };
        let truth = self.source.generator().and_then(GeneratorKind::truth);
        let oracle = match (&truth, self.source.generator(), &test) {
            (Some(truth), _, Some(test)) => sequence_oracle(truth, test, streams),
            (None, Some(generator), Some(test)) => oracle(generator, test).map(|value| (value, None)),
            _ => None,
        };
        let mut validation = None;
        if self.validation_fraction > 0.0 {
            let (rest, held_out) = split(&train, self.validation_fraction, streams, "data/validation");
            (train, validation) = (rest, Some(held_out));
        }
        check_weights(&train, validation.as_ref(), test.as_ref())?;
        for data in [Some(&train), validation.as_ref(), test.as_ref()].into_iter().flatten() {
            check_drawn(data)?;
        }
        let mut standardization = Standardization::default();
        if self.standardize {
            standardization = Standardization::fit(&train);
            let others = validation.as_mut().into_iter().chain(test.as_mut());
            for data in std::iter::once(&mut train).chain(others) {
                standardization.apply(data);
            }
        }
        let true_prior = self.source.generator().and_then(|generator| generator.prior());
        Ok(Splits {
            train,
            validation,
            test,
            standardization,
            true_prior,
            truth,
            oracle: oracle.map(|(value, _)| value),
            oracle_standard_error: oracle.and_then(|(_, error)| error),
        })
    }
}

/// The fault of an environment that could not go on.
fn stopped(reason: String) -> Fault {
    let (expected, help) = (
        "an environment that plays its episodes to the end",
        "correct the environment",
    );
    Fault::new("data.environment", reason, expected, help)
}

/// What `generator` drew, as fields; images stay bytes.
fn dataset(points: envs::Points, generator: &dyn GeneratorKind) -> Dataset {
    let (given, states) = (generator.given().len(), generator.states());
    let observed = match generator.image_shape() {
        Some(shape) => Field::new(
            Stored::Bytes(points.images),
            vec![shape.height, shape.width, shape.frames],
        )
        .of_bytes(),
        None => Table::new(points.observed, generator.observed().len()).into(),
    };
    Dataset {
        before: None,
        observed,
        given: (given > 0).then(|| Table::new(points.given, given).into()),
        weights: (!points.weights.is_empty()).then_some(points.weights),
        states: (!points.states.is_empty()).then(|| Table::new(points.states, states).into()),
        labels: (!points.labels.is_empty()).then_some(points.labels),
        episodes: (!points.episodes.is_empty()).then_some(points.episodes),
        lengths: (!points.lengths.is_empty()).then_some(points.lengths),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs that share a file see the same rows, even if the file changes after the first read.
    #[test]
    fn a_shared_file_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        std::fs::write(&path, "y\n1\n2\n4\n8\n").unwrap();
        let data: DataConfig =
            toml::from_str("source = \"file\"\npath = \"rows.csv\"\nobserved = [\"y\"]\ntest_fraction = 0.5").unwrap();
        let load = |shared: &SharedFile, seed| {
            data.load_sharing(shared, folder.path(), Rows::Independent, &Streams::new(seed))
        };
        let (shared, seeds) = (SharedFile::default(), 0..8);
        let before = seeds
            .clone()
            .map(|seed| load(&SharedFile::default(), seed).unwrap().train);
        let before: Vec<_> = before.collect();
        load(&shared, 0).unwrap();
        std::fs::remove_file(&path).unwrap();
        let after: Vec<_> = seeds.map(|seed| load(&shared, seed).unwrap().train).collect();
        assert_eq!(before, after);
        assert!(load(&SharedFile::default(), 0).is_err());
    }
}
