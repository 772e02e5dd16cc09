//! How well a model of sequences predicts the test sequences: one step ahead, several, and in free run.
//!
//! An error is the root of the mean squared difference between an observation and what the model expects of it, over all
//! observed entries after `warm_up` steps of each sequence, in the data's units. In free run the model sees the
//! observations of the warm-up (and what came before a part that was cut from a single sequence) and then only inputs. Where the generator's own system is known, its errors on the same
//! steps are the best that can be expected, and ratios to them are reported.

use super::Job;
use crate::Result;
use crate::data::Dataset;
use crate::math::kalman::{Filtered, Horizon, System, squared_errors};
use crate::nn::Parameters;

/// How far to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Steps of each sequence that no error counts; in free run, the observations that are seen.
    pub warm_up: usize,
    /// The k of `test/k_step_error`.
    pub horizon: usize,
}

/// The metrics of `theta` on the test sequences; none where there are none, or where rows are independent.
pub fn measure(job: &Job, theta: &Parameters, settings: Settings) -> Result<Vec<(String, f64)>> {
    let (Some(test), Some(system)) = (&job.splits.test, job.model.state_space(theta)?) else {
        return Ok(Vec::new());
    };
    let standardization = &job.splits.standardization;
    let scale = standardization.observed.scale();
    let found = errors(&system, test, settings, |column| {
        scale.get(column).copied().unwrap_or(1.0)
    })?;
    let truth = match &job.splits.truth {
        Some(truth) => {
            let mut raw = test.clone();
            standardization.observed.invert(raw.observed.values_mut());
            if let Some(inputs) = &mut raw.given {
                standardization.given.invert(inputs.values_mut());
            }
            Some(errors(truth, &raw, settings, |_| 1.0)?)
        }
        None => None,
    };
    let mut metrics = Vec::new();
    for (i, name) in ["one_step", "k_step", "free_run"].into_iter().enumerate() {
        // No observation after the warm-up, or an unstable model in free run: nothing to report.
        if found[i].is_finite() {
            metrics.push((format!("test/{name}_error"), found[i]));
        }
        if let Some(ratio) = truth.map(|truth| found[i] / truth[i]).filter(|ratio| ratio.is_finite()) {
            metrics.push((format!("test/{name}_error_ratio"), ratio));
        }
    }
    Ok(metrics)
}

/// One-step, k-step and free-run error, each column times its `scale`.
fn errors(system: &System, test: &Dataset, settings: Settings, scale: impl Fn(usize) -> f64) -> Result<[f64; 3]> {
    let (test, seen) = test.with_before();
    let (warm_up, horizon) = (seen + settings.warm_up, settings.horizon);
    let sequences = test.sequences()?;
    let filtered = Filtered::new(system, &sequences)?;
    let horizons = [Horizon::Steps(1), Horizon::Steps(horizon), Horizon::FreeRun { warm_up }];
    Ok(horizons.map(|horizon| {
        let expected = filtered.expected(horizon);
        let (sums, counts) = squared_errors(&sequences, test.observed.values(), &expected, warm_up);
        let sum: f64 = sums
            .iter()
            .enumerate()
            .map(|(column, sum)| sum * scale(column).powi(2))
            .sum();
        (sum / counts.iter().sum::<usize>() as f64).sqrt()
    }))
}
