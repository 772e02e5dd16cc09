//! The baseline of every log-likelihood: one Gaussian (linear in x, where x is given), fitted in closed form; for sequences
//! and images one Gaussian per column, independent over time; for binary rows independent Bernoulli columns.

use crate::Result;
use crate::data::{Dataset, Splits};
use crate::math::streams::Streams;
use crate::model::{EStep, ModelConfig, gaussian::Gaussian, linear_gaussian::LinearGaussian};
use crate::train::evaluation::mean_log_likelihood;
use candle_core::{DType, Device};

/// `log_likelihood` of independent Bernoulli columns, with 1 added to the count of either value, on the test rows (the
/// training rows where there are no test rows), in nats per datum.
pub(super) fn binary_log_likelihood(splits: &Splits) -> (String, f64) {
    let (part, rows) = match &splits.test {
        Some(test) => ("test", test),
        None => ("train", &splits.train),
    };
    let train = &splits.train;
    let mut sum = 0.0;
    let ones = |data: &Dataset| data.observed.sums(|i, _, v| data.weight(i) * v);
    for (own, present) in ones(train).into_iter().zip(ones(rows)) {
        let p = (own + 1.0) / (train.total_weight() + 2.0);
        sum += present * p.ln() + (rows.total_weight() - present) * (1.0 - p).ln();
    }
    (format!("{part}/baseline"), sum / rows.total_weight())
}

/// `log_likelihood` of the baseline on the test rows (the training rows where there is no test), in nats per datum in the
/// data's units; none where a column of sequences or images is constant and has no Gaussian.
pub(super) fn log_likelihood(splits: &Splits, streams: &Streams) -> Result<Option<(String, f64)>> {
    let (part, rows) = match &splits.test {
        Some(test) => ("test", test),
        None => ("train", &splits.train),
    };
    if rows.lengths.is_some() || rows.observed.is_images() {
        let value = independent_columns(&splits.train, rows) - splits.standardization.observed.log_scale_of(rows);
        return Ok(value.is_finite().then(|| (format!("{part}/baseline"), value)));
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
    Ok(Some((format!("{part}/baseline"), value)))
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
