//! The baseline of every log-likelihood: one Gaussian (linear in x, where x is given), fitted in closed form; for sequences
//! and images one Gaussian per column, independent over time; for binary rows independent Bernoulli columns.

use super::metric::{PER_DATUM, TEST, TRAIN_WITHOUT_TEST};
use super::{Declared, Family, Tables, mean_log_likelihood};
use crate::Result;
use crate::data::{Dataset, Splits};
use crate::math::streams::Streams;
use crate::model::{EStep, ModelConfig, gaussian::Gaussian, linear_gaussian::LinearGaussian};
use crate::train::{Job, Trained};
use candle_core::{DType, Device};

const METRICS: &[Declared] = &[Declared {
    parts: &[TEST, TRAIN_WITHOUT_TEST],
    name: "{part}/baseline",
    title: "baseline ({rows} log-likelihood)",
    formula: "log-likelihood of a simple model on the {rows} rows. One Gaussian fitted to the training rows in closed form \
              (linear in x where x is given); for sequences one Gaussian per column, independent over time; for images one \
              Gaussian per pixel, independent of the other pixels, and no baseline where a pixel is constant; for binary \
              columns independent Bernoulli variables with a count of 1 added to either value. In roll-outs the baseline is \
              the success rate of uniformly random actions",
    needs: "",
    conditions: &[],
    unit: PER_DATUM,
    larger_is_better: None,
}];

/// The family.
pub(super) struct Baseline;

impl Family for Baseline {
    fn declared(&self) -> &'static [Declared] {
        METRICS
    }

    fn of_trained(&self, job: &Job, _trained: &Trained, tables: &Tables) -> Result<Vec<(String, f64)>> {
        let value = match tables.model.abilities().is_binary() {
            true => Some(binary_log_likelihood(job.original)),
            false => log_likelihood(job.original, job.streams)?,
        };
        let name = |value| (format!("{}/baseline", scored(job.original).0), value);
        Ok(value.map(name).into_iter().collect())
    }
}

/// The rows that are scored: the test rows, or the training rows where there are no test rows.
fn scored(splits: &Splits) -> (&'static str, &Dataset) {
    match &splits.test {
        Some(test) => (TEST.name, test),
        None => (TRAIN_WITHOUT_TEST.name, &splits.train),
    }
}

/// The log-likelihood of independent Bernoulli columns, with 1 added to the count of either value, in nats per datum.
fn binary_log_likelihood(splits: &Splits) -> f64 {
    let (_, rows) = scored(splits);
    let train = &splits.train;
    let mut sum = 0.0;
    let ones = |data: &Dataset| data.observed.sums(|i, _, v| data.weight(i) * v);
    for (own, present) in ones(train).into_iter().zip(ones(rows)) {
        let p = (own + 1.0) / (train.total_weight() + 2.0);
        sum += present * p.ln() + (rows.total_weight() - present) * (1.0 - p).ln();
    }
    sum / rows.total_weight()
}

/// The log-likelihood of the Gaussian baseline in nats per datum in the data's units; none where a column of sequences or
/// images is constant and has no Gaussian.
fn log_likelihood(splits: &Splits, streams: &Streams) -> Result<Option<f64>> {
    let (_, rows) = scored(splits);
    if rows.lengths.is_some() || rows.observed.is_images() {
        let value = independent_columns(&splits.train, rows) - splits.standardization.observed.log_scale_of(rows);
        return Ok(value.is_finite().then_some(value));
    }
    let config = match splits.train.given {
        Some(_) => ModelConfig::new(LinearGaussian::default())?,
        None => ModelConfig::new(Gaussian::default())?,
    };
    let model = config.build(&splits.train)?;
    let first = model.initial(&splits.train, streams, 0, DType::F64, &Device::Cpu)?;
    let theta = match model.closed_form() {
        Some(closed_form) => {
            let rng = &mut streams.named("reseed").at(0);
            closed_form
                .sweeps(&splits.train)?
                .improve(&first, EStep::Exact, 1, Some(rng))?
                .theta
        }
        None => first,
    };
    let value = mean_log_likelihood(model.as_ref(), &theta, rows)? - splits.standardization.observed.log_scale();
    Ok(Some(value))
}

/// Log-likelihood of `rows` in nats per datum, every entry drawn from its column's Gaussian, fitted to `train`.
fn independent_columns(train: &Dataset, rows: &Dataset) -> f64 {
    // Missing values of sequences do not count, and their steps have no weights.
    let term = |data: &Dataset, i: usize, v: f64, term: f64| match (v.is_nan(), data.lengths.is_some()) {
        (true, _) => 0.0,
        (false, true) => term,
        (false, false) => data.weight(i) * term,
    };
    let fitted: Vec<(f64, f64, f64)> = train
        .moments(&train.observed)
        .into_iter()
        .map(|column| column.unwrap_or((f64::NAN, f64::NAN)))
        .map(|(mean, variance)| (mean, variance, (2.0 * std::f64::consts::PI * variance).ln()))
        .collect();
    let value = |(mean, variance, log_norm): (f64, f64, f64), v: f64| 0.5 * ((v - mean).powi(2) / variance + log_norm);
    let sums = rows.observed.sums(|i, j, v| term(rows, i, v, value(fitted[j], v)));
    sums.iter().fold(0.0, |all, sum| all - sum) / rows.total_weight()
}
