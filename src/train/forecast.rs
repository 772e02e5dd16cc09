//! Prediction errors of a model of sequences on the test sequences: one step ahead, k steps ahead, and in free run.
//!
//! An error is the root mean squared difference between an observation and its expectation under the model, over all
//! observed entries after `warm_up` steps of each sequence, in the data's units. In free run the model sees the
//! observations of the warm-up (and the steps before a part that was cut from a single sequence) and then only inputs.
//! If the generator's system is known, its errors on the same steps are the best that can be expected, and ratios to
//! them are reported. Expectations come from the Kalman filter for a linear system. For a nonlinear one they come from
//! a bootstrap filter whose particles are simulated onwards, or from a grid of a state of one dimension.

use super::Job;
use crate::Result;
use crate::data::Dataset;
use crate::math::kalman::{Horizon, squared_errors};
use crate::math::nonlinear::Predictor;
use crate::math::streams::Stream;
use crate::nn::Parameters;

/// The prediction horizons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Steps of each sequence that errors leave out; in free run, the observations that the model sees.
    pub warm_up: usize,
    /// The k of `test/k_step_error`.
    pub horizon: usize,
}

/// The metrics of `theta` on the test sequences; none without test sequences.
pub fn measure(job: &Job, theta: &Parameters, settings: Settings) -> Result<Vec<(String, f64)>> {
    let (Some(test), Some(model)) = (&job.splits.test, job.model.predictor(theta)?) else {
        return Ok(Vec::new());
    };
    let standardization = &job.splits.standardization;
    let scale = standardization.observed.scale();
    let numbers = &job.streams.named("forecast");
    let found = errors(&model, test, settings, numbers, |column| {
        scale.get(column).copied().unwrap_or(1.0)
    })?;
    let truth = match &job.splits.truth {
        Some(truth) => {
            let mut raw = test.clone();
            standardization.observed.invert(raw.observed.values_mut());
            if let Some(inputs) = &mut raw.given {
                standardization.given.invert(inputs.values_mut());
            }
            // A generator without noise has no likelihood to weight particles by, so it has no errors to compare with.
            errors(truth, &raw, settings, numbers, |_| 1.0).ok()
        }
        None => None,
    };
    let mut metrics = Vec::new();
    for (i, name) in ["one_step", "k_step", "free_run"].into_iter().enumerate() {
        // No observation after the warm-up, or an unstable model in free run: nothing to report.
        if found[i].is_finite() {
            metrics.push((format!("test/{name}_error"), found[i]));
        }
        if let Some(ratio) = truth
            .as_ref()
            .map(|truth| found[i] / truth[i])
            .filter(|ratio| ratio.is_finite())
        {
            metrics.push((format!("test/{name}_error_ratio"), ratio));
        }
    }
    Ok(metrics)
}

/// One-step, k-step and free-run error, each column times its `scale`.
fn errors(
    system: &Predictor,
    test: &Dataset,
    settings: Settings,
    numbers: &Stream,
    scale: impl Fn(usize) -> f64,
) -> Result<Vec<f64>> {
    let (test, seen) = test.with_before();
    let (warm_up, horizon) = (seen + settings.warm_up, settings.horizon);
    let sequences = test.sequences()?;
    let horizons = [Horizon::Steps(1), Horizon::Steps(horizon), Horizon::FreeRun { warm_up }];
    let error = |expected: &Vec<Vec<f64>>| {
        let (sums, counts) = squared_errors(&sequences, test.observed.values(), expected, warm_up);
        let sum: f64 = sums
            .iter()
            .enumerate()
            .map(|(column, sum)| sum * scale(column).powi(2))
            .sum();
        (sum / counts.iter().sum::<usize>() as f64).sqrt()
    };
    let expected = system.expected(&sequences, &horizons, numbers)?;
    Ok(expected.iter().map(error).collect())
}
