//! The baseline of every log-likelihood: one Gaussian (linear in x, where x is given), fitted in closed form; for
//! sequences one Gaussian per column, independent over time; for binary rows independent Bernoulli columns.

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
    for j in 0..rows.observed.columns() {
        let ones = |data: &Dataset| -> f64 {
            let column = data.observed.column(j).enumerate();
            column.map(|(i, v)| data.weight(i) * v).sum()
        };
        let p = (ones(train) + 1.0) / (train.total_weight() + 2.0);
        let present = ones(rows);
        sum += present * p.ln() + (rows.total_weight() - present) * (1.0 - p).ln();
    }
    (format!("{part}/baseline"), sum / rows.total_weight())
}

/// `log_likelihood` of the baseline on the test rows (the training rows where there are no test rows), in nats per
/// datum in the data's units; none where a column of sequences is constant and has no Gaussian.
pub(super) fn log_likelihood(splits: &Splits, streams: &Streams) -> Result<Option<(String, f64)>> {
    let (part, rows) = match &splits.test {
        Some(test) => ("test", test),
        None => ("train", &splits.train),
    };
    if rows.lengths.is_some() {
        let value = independent_steps(&splits.train, rows) - splits.standardization.observed.log_scale_of(rows);
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

/// Log-likelihood of `rows` in nats per observed step, each entry under its column's Gaussian, fitted to `train`.
fn independent_steps(train: &Dataset, rows: &Dataset) -> f64 {
    let mut sum = 0.0;
    for j in 0..train.observed.columns() {
        let present = |data: &Dataset| -> Vec<f64> { data.observed.column(j).filter(|v| !v.is_nan()).collect() };
        let own = present(train);
        let mean = own.iter().sum::<f64>() / own.len() as f64;
        let variance = own.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / own.len() as f64;
        let log_norm = (2.0 * std::f64::consts::PI * variance).ln();
        sum -= present(rows)
            .iter()
            .map(|v| 0.5 * ((v - mean).powi(2) / variance + log_norm))
            .sum::<f64>();
    }
    sum / rows.total_weight()
}
