//! Where data come from: a generator of the environments crate, or a file; and how they are split.
//!
//! All draws of one seed come from the streams `data/train`, `data/test` and `data/split`, so every variant of an
//! experiment sees the same rows for the same seed.

use super::{Dataset, Standardization, Table, file::FileConfig};
use crate::error::Fault;
use crate::math::kalman::{Conditional, System};
use crate::math::nonlinear::{Basis, BasisSystem, Predictor};
use crate::math::streams::Streams;
use latent_lab_envs as envs;
use nalgebra::{DMatrix, DVector};
use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Particles behind what a nonlinear generator knows of its own data.
const ORACLE_PARTICLES: usize = 10_000;

/// The table `[data]`: what a model learns from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DataConfig {
    /// Where the rows come from.
    #[serde(flatten)]
    pub source: Source,
    /// How many rows (for `tree`: demonstrations, for `lgssm` and `growth`: steps) a generator draws for training; 1000 without this
    /// key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub train: Option<usize>,
    /// How many rows (for `tree`: demonstrations) a generator draws for testing; as many as `train` without this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub test: Option<usize>,
    /// The fraction of training rows held out to stop training early.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.9))]
    pub validation_fraction: f64,
    /// Shift and scale every column to mean 0 and deviation 1 of the training rows; log-likelihoods are reported in
    /// the data's own units all the same.
    #[serde(default)]
    pub standardize: bool,
    /// The data are a fine grid weighted by the true density instead of draws: the limit of infinitely many rows.
    /// `train` is the number of grid points, and the grid is the test set as well.
    #[serde(default)]
    pub population: bool,
}

/// A generator, or a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum Source {
    /// Points of the plane from one correlated Gaussian.
    GaussianBlob(envs::GaussianBlob),
    /// A line with Gaussian noise.
    LinearGaussian(envs::LinearGaussian),
    /// Three well-separated Gaussian clusters of unequal weights.
    ThreeClusters(envs::ThreeClusters),
    /// Bishop's inverse problem: several answers to one question.
    InverseSinusoid(envs::InverseSinusoid),
    /// Twenty known Gaussians in a row, whose weights are to be learnt.
    MixtureOfTwenty(envs::MixtureOfTwenty),
    /// A noisy circle.
    Ring(envs::Ring),
    /// Two noisy half circles.
    TwoMoons(envs::TwoMoons),
    /// Demonstrations of driving round a tree, on either side.
    Tree(envs::Tree),
    /// Sequences from a linear-Gaussian state space whose likelihood is known.
    Lgssm(envs::Lgssm),
    /// Sequences from the growth model: a state that jumps between two wells, seen through its square.
    Growth(envs::Growth),
    /// The user's own CSV or NPZ file.
    File(FileConfig),
}

/// The rows of one seed, as training sees them.
#[derive(Debug, Clone)]
pub struct Splits {
    /// For fitting.
    pub train: Dataset,
    /// For early stopping.
    pub validation: Option<Dataset>,
    /// For scoring alone.
    pub test: Option<Dataset>,
    /// What was done to the columns; the identity unless asked for.
    pub standardization: Standardization,
    /// The generator's own p(z), where its data have components.
    pub true_prior: Option<Vec<f64>>,
    /// The generator's own state space, in the data's units, where it is one.
    pub truth: Option<Predictor>,
    /// Mean log-density of the test rows under the generator itself, in nats per datum in the data's units.
    pub oracle: Option<f64>,
}

/// How wide the rows are, known before anything is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Widths {
    /// Columns modelled, D.
    pub observed: usize,
    /// Columns given, C.
    pub given: usize,
}

impl Source {
    /// Whether rows are the steps of sequences.
    pub fn is_sequential(&self) -> bool {
        match self {
            Self::Lgssm(_) | Self::Growth(_) => true,
            Self::File(file) => file.is_sequential(),
            _ => false,
        }
    }

    /// The generator, unless the source is a file.
    pub fn generator(&self) -> Option<&dyn envs::Generator> {
        Some(match self {
            Self::GaussianBlob(generator) => generator,
            Self::LinearGaussian(generator) => generator,
            Self::ThreeClusters(generator) => generator,
            Self::InverseSinusoid(generator) => generator,
            Self::MixtureOfTwenty(generator) => generator,
            Self::Ring(generator) => generator,
            Self::TwoMoons(generator) => generator,
            Self::Tree(generator) => generator,
            Self::Lgssm(generator) => generator,
            Self::Growth(generator) => generator,
            Self::File(_) => return None,
        })
    }
}

impl DataConfig {
    /// How wide the rows are, after everything that can be wrong with the source has been looked for, for a model of `binary`
    /// columns or another.
    pub fn check(&self, folder: &Path, binary: bool) -> Result<Widths, Fault> {
        match (&self.source, self.source.generator()) {
            (Source::File(file), _) => {
                for (key, given) in [("train", self.train.is_some()), ("test", self.test.is_some())] {
                    if given {
                        return Err(Fault::new(
                            key,
                            format!("`{key}` is for generators; a file has as many rows as it has"),
                            "no such key with `source = \"file\"`",
                            "use `test_fraction` or `test_path`",
                        ));
                    }
                }
                if self.population {
                    return Err(no_population("file"));
                }
                let (rows, test) = file.read(folder)?;
                file.check_values(folder, (&rows, test.as_ref()), binary)?;
                // A single sequence is split in time.
                let parts = if rows.len() == 1 {
                    rows.observed.rows()
                } else {
                    rows.len()
                };
                let rest = match file.test_fraction {
                    0.0 => parts,
                    fraction => parts - held_out(parts, fraction).min(parts),
                };
                let left = match self.validation_fraction {
                    0.0 => rest,
                    fraction => rest - held_out(rest, fraction).min(rest),
                };
                if left < 2 {
                    let (n, s) = (parts, if left == 1 { "" } else { "s" });
                    return Err(Fault::new(
                        "path",
                        format!("{n} rows in all leave {left} row{s} to train on"),
                        "at least 2 training rows",
                        "give more rows, or hold out fewer",
                    ));
                }
                Ok(Widths {
                    observed: rows.observed.columns(),
                    given: rows.given.map_or(0, |given| given.columns()),
                })
            }
            (_, Some(generator)) => {
                generator
                    .check()
                    .map_err(|text| Fault::new("source", text, "consistent keys", "see `describe data`"))?;
                if self.population && generator.population(2).is_none() {
                    return Err(no_population(generator.name()));
                }
                let (rows, is_rows) = (self.train.unwrap_or(1000), !matches!(self.source, Source::Tree(_)));
                let held_out = match self.validation_fraction {
                    0.0 => 0,
                    fraction => held_out(rows, fraction),
                };
                if is_rows && rows < 2 + held_out {
                    return Err(Fault::new(
                        "train",
                        format!("{} of {rows} rows are left to train on", rows - held_out.min(rows)),
                        "at least 2 training rows",
                        "draw more rows, or hold out fewer",
                    ));
                }
                if self.population && self.test.is_some() {
                    return Err(Fault::new(
                        "test",
                        "with `population = true` the grid is the test set as well",
                        "no `test` key",
                        "remove it",
                    ));
                }
                Ok(Widths {
                    observed: generator.observed().len(),
                    given: generator.given().len(),
                })
            }
            (_, None) => unreachable!("every source but a file is a generator"),
        }
    }

    /// Draws or reads the rows of one seed; `folder` is the experiment file's.
    pub fn load(&self, folder: &Path, streams: &Streams) -> Result<Splits, Fault> {
        let (mut train, mut test) = match (&self.source, self.source.generator()) {
            (Source::File(file), _) => {
                let (rows, test) = file.read(folder)?;
                if file.test_fraction > 0.0 {
                    let (train, test) = split(&rows, file.test_fraction, streams, "data/split");
                    (train, Some(test))
                } else {
                    (rows, test)
                }
            }
            (_, Some(generator)) => {
                let rows = self.train.unwrap_or(1000);
                let (observed, given) = (generator.observed().len(), generator.given().len());
                if self.population {
                    let points = generator
                        .population(rows)
                        .ok_or_else(|| no_population(generator.name()))?;
                    let grid = dataset(points, observed, given);
                    (grid.clone(), Some(grid))
                } else {
                    let draw = |rows, name| {
                        let points = generator.draw(rows, &mut streams.named(name).at(0));
                        dataset(points, observed, given)
                    };
                    (
                        draw(rows, "data/train"),
                        Some(draw(self.test.unwrap_or(rows), "data/test")),
                    )
                }
            }
            (_, None) => unreachable!("every source but a file is a generator"),
        };
        let truth = match &self.source {
            Source::Lgssm(generator) => Some(Predictor::Kalman(true_system(generator))),
            Source::Growth(generator) => Some(Predictor::Particles(true_growth(generator), ORACLE_PARTICLES)),
            _ => None,
        };
        let oracle = match (&truth, self.source.generator(), &test) {
            (Some(truth), _, Some(test)) => sequence_oracle(truth, test),
            (None, Some(generator), Some(test)) => oracle(generator, test),
            _ => None,
        };
        let mut validation = None;
        if self.validation_fraction > 0.0 {
            let (rest, held_out) = split(&train, self.validation_fraction, streams, "data/validation");
            (train, validation) = (rest, Some(held_out));
        }
        check_weights(&train, validation.as_ref(), test.as_ref())?;
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
            oracle,
        })
    }
}

fn no_population(source: &str) -> Fault {
    Fault::new(
        "population",
        format!("source `{source}` has no population grid"),
        "a generator whose density is known on one axis, such as `mixture_of_twenty`",
        "remove `population`",
    )
}

fn dataset(points: envs::Points, observed: usize, given: usize) -> Dataset {
    Dataset {
        observed: Table::new(points.observed, observed),
        given: (given > 0).then(|| Table::new(points.given, given)),
        weights: (!points.weights.is_empty()).then_some(points.weights),
        labels: (!points.labels.is_empty()).then_some(points.labels),
        lengths: (!points.lengths.is_empty()).then_some(points.lengths),
    }
}

/// Weighted mean of the generator's own log-density over `test`, in nats per datum.
fn oracle(generator: &dyn envs::Generator, test: &Dataset) -> Option<f64> {
    let mut sum = 0.0;
    for i in 0..test.len() {
        let given = test.given.as_ref().map_or(&[][..], |given| given.row(i));
        sum += test.weight(i) * generator.log_prob(test.observed.row(i), given)?;
    }
    Some(sum / test.total_weight())
}

/// The state space that `generator` draws from.
fn true_system(generator: &envs::Lgssm) -> System {
    let (x, o, u) = (
        generator.states(),
        generator.emission.len(),
        generator.transition_input[0].len(),
    );
    let matrix = |rows: &envs::lgssm::Rows, columns: usize| DMatrix::from_fn(rows.len(), columns, |i, j| rows[i][j]);
    let or = |rows: &Option<envs::lgssm::Rows>, otherwise: DMatrix<f64>| match rows {
        Some(rows) => matrix(rows, otherwise.ncols()),
        None => otherwise,
    };
    System {
        initial_mean: generator
            .initial_mean
            .clone()
            .map_or(DVector::zeros(x), DVector::from_vec),
        initial_covariance: or(&generator.initial_covariance, DMatrix::identity(x, x)),
        transition: matrix(&generator.transition, x),
        transition_input: matrix(&generator.transition_input, u),
        transition_offset: DVector::zeros(x),
        transition_noise: matrix(&generator.transition_noise, x),
        emission: matrix(&generator.emission, x),
        emission_input: or(&generator.emission_input, DMatrix::zeros(o, u)),
        emission_offset: DVector::zeros(o),
        emission_noise: matrix(&generator.emission_noise, o),
    }
}

/// Log-likelihood of the sequences of `test` under the system that made them, in nats per observed step.
fn sequence_oracle(truth: &Predictor, test: &Dataset) -> Option<f64> {
    let sequences = test.sequences().ok()?;
    let values = truth
        .log_likelihood(&sequences, &Streams::new(0).named("oracle"))
        .ok()?;
    Some(values.iter().sum::<f64>() / test.total_weight())
}

/// The state space that `generator` draws from.
fn true_growth(generator: &envs::Growth) -> BasisSystem {
    let envs::Growth { a, b, c, d, .. } = *generator;
    let conditional = |coefficients: &[f64], variance: f64| Conditional {
        coefficients: DMatrix::from_row_slice(1, coefficients.len(), coefficients),
        noise: DMatrix::from_element(1, 1, variance),
    };
    BasisSystem {
        functions: [Basis::Growth, Basis::Square],
        conditionals: [
            conditional(&[0.0], 0.0),
            conditional(&[a, b, c], generator.transition_variance),
            conditional(&[d], generator.emission_variance),
        ],
    }
}

/// How many of `rows` rows a fraction above 0 is: at least one, and never all unless there is only one.
fn held_out(rows: usize, fraction: f64) -> usize {
    let wanted = (rows as f64 * fraction).round() as usize;
    wanted.clamp(1, rows.saturating_sub(1).max(1))
}

/// A part whose rows all have weight 0 has no mean.
fn check_weights(train: &Dataset, validation: Option<&Dataset>, test: Option<&Dataset>) -> Result<(), Fault> {
    let parts = [("training", Some(train)), ("validation", validation), ("test", test)];
    let empty = |(_, rows): &(&str, Option<&Dataset>)| rows.is_some_and(|rows| rows.total_weight() <= 0.0);
    match parts.into_iter().find(empty) {
        Some((name, _)) => Err(Fault::new(
            "weight",
            format!("all {name} rows of this seed have weight 0"),
            "a positive weight in every part",
            "drop rows of weight 0 from the file, or hold out other fractions",
        )),
        None => Ok(()),
    }
}

/// Splits off `fraction` of the rows, or sequences, drawn by the stream `name`; of a single sequence, its last steps.
fn split(rows: &Dataset, fraction: f64, streams: &Streams, name: &str) -> (Dataset, Dataset) {
    if let Some([steps]) = rows.lengths.as_deref() {
        return rows.cut(steps - held_out(*steps, fraction));
    }
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.shuffle(&mut streams.named(name).at(0));
    let (held_out, rest) = order.split_at_mut(held_out(rows.len(), fraction));
    // Rows keep the file's order on both sides.
    held_out.sort_unstable();
    rest.sort_unstable();
    (rows.select(rest), rows.select(held_out))
}
