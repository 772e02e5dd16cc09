//! Prediction errors of a model of sequences on the test sequences: one step ahead, k steps ahead, and in free run.
//!
//! An error is the root mean squared difference between an observation and its expectation under the model, over all
//! observed entries after `warm_up` steps of each sequence, in the data's units. In free run the model sees the
//! observations of the warm-up (and the steps before a part that was cut from a single sequence) and then only inputs.
//! If the generator's system is known, its errors on the same steps are the best that can be expected, and ratios to
//! them are reported. Expectations come from the Kalman filter for a linear system. For a nonlinear one they come from
//! a bootstrap filter whose particles are simulated onwards, or from a grid of a state of one dimension. Images have none.

use super::metric::TEST_ROWS;
use super::{Condition, Declared, Family, Tables};
use crate::Result;
use crate::data::Dataset;
use crate::data::source::Shape;
use crate::error::Fault;
use crate::math::kalman::{Horizon, squared_errors};
use crate::math::nonlinear::Predictor;
use crate::math::streams::Stream;
use crate::nn::Parameters;
use crate::train::{Job, Trained};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The table `[evaluation.forecast]`: predictions of a model of sequences on the test sequences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ForecastConfig {
    /// Steps at the start of each test sequence that prediction errors leave out. In free run the model sees only the
    /// observations of these steps.
    pub warm_up: usize,
    /// How many steps ahead `test/k_step_error` looks.
    #[schemars(range(min = 1))]
    pub horizon: usize,
}

impl Default for ForecastConfig {
    fn default() -> Self {
        Self {
            warm_up: 10,
            horizon: 10,
        }
    }
}

pub(super) const SEQUENCES: Condition = Condition {
    what: "sequences",
    write: "a model of sequences",
    holds: |tables| tables.model.abilities().is_sequential(),
};

const COLUMNS: Condition = Condition {
    what: "columns of numbers, not images",
    write: "another metric, such as `test/elbo`",
    holds: |tables| !draws_images(tables),
};

/// Whether the data are images of a generator. What a file holds is not known here.
fn draws_images(tables: &Tables) -> bool {
    let generator = tables.data.source.generator();
    generator.is_some_and(|generator| generator.image_shape().is_some())
}

/// A prediction error.
const fn error(name: &'static str, title: &'static str, formula: &'static str) -> Declared {
    Declared {
        parts: &[],
        name,
        title,
        formula,
        needs: "a model of sequences of numbers, test sequences longer than evaluation.forecast.warm_up; not for images",
        conditions: &[TEST_ROWS, SEQUENCES, COLUMNS],
        unit: "units of the data",
        larger_is_better: Some(false),
    }
}

/// A prediction error over that of the generator.
const fn ratio(name: &'static str, title: &'static str, formula: &'static str) -> Declared {
    Declared {
        needs: "`data.source` {known state space}, a model of sequences",
        unit: "fraction",
        ..error(name, title, formula)
    }
}

const METRICS: &[Declared] = &[
    error(
        "test/one_step_error",
        "one-step prediction error",
        "root mean square of o_t − E[o_t | o_1 … o_{t−1}, u] over the observed test entries after the first \
         evaluation.forecast.warm_up steps. The expectation is the Kalman filter's, or a mean of \
         `model.likelihood_particles` particles",
    ),
    error(
        "test/k_step_error",
        "k-step prediction error",
        "root mean square of o_t − E[o_t | o_1 … o_{t−k}, u], k = evaluation.forecast.horizon, over the observed test entries \
         after the first evaluation.forecast.warm_up steps. The expectation is the Kalman filter's, or a mean of \
         `model.likelihood_particles` particles",
    ),
    error(
        "test/free_run_error",
        "free-run prediction error",
        "root mean square of o_t − E[o_t | o_1 … o_w, u], w = evaluation.forecast.warm_up (simulation from inputs alone), over \
         the observed test entries after the first evaluation.forecast.warm_up steps. The expectation is the Kalman filter's, \
         or a mean of `model.likelihood_particles` particles",
    ),
    ratio(
        "test/one_step_error_ratio",
        "one-step prediction error, relative to the generator's",
        "test/one_step_error of the model / test/one_step_error of the generator's own state space on the same steps, by the \
         Kalman filter, on a grid of the state or by 10,000 particles",
    ),
    ratio(
        "test/k_step_error_ratio",
        "k-step prediction error, relative to the generator's",
        "test/k_step_error of the model / test/k_step_error of the generator's own state space on the same steps, by the \
         Kalman filter, on a grid of the state or by 10,000 particles",
    ),
    ratio(
        "test/free_run_error_ratio",
        "free-run prediction error, relative to the generator's",
        "test/free_run_error of the model / test/free_run_error of the generator's own state space on the same steps, by the \
         Kalman filter, on a grid of the state or by 10,000 particles",
    ),
];

/// The family.
pub(super) struct Forecast;

impl Family for Forecast {
    fn declared(&self) -> &'static [Declared] {
        METRICS
    }

    fn faults(&self, tables: &Tables, shape: Option<&Shape>) -> Vec<Fault> {
        let is_sequential = tables.model.abilities().is_sequential();
        match shape {
            // That the model and the data do not go together is a fault of `[model]`.
            Some(shape) if shape.longest.is_some() == is_sequential => key_faults(tables, shape.longest),
            _ => Vec::new(),
        }
    }

    fn of_trained(&self, job: &Job, trained: &Trained, _tables: &Tables) -> Result<Vec<(String, f64)>> {
        prediction_errors(job, &trained.theta)
    }
}

/// Faults of the keys. The longest test sequence has `longest` steps; none if rows are independent.
fn key_faults(tables: &Tables, longest: Option<usize>) -> Vec<Fault> {
    let (own, defaults) = (&tables.evaluation.forecast, ForecastConfig::default());
    let changed = [
        ("warm_up", own.warm_up != defaults.warm_up),
        ("horizon", own.horizon != defaults.horizon),
    ];
    let changed = changed.into_iter().filter(|(_, is_changed)| *is_changed);
    let changed = changed.map(|(name, _)| (name, format!("evaluation.forecast.{name}")));
    let Some(longest) = longest else {
        let fault = |(name, key)| {
            let message = format!("`{name}` is for sequences, and these rows are independent");
            Fault::new(key, message, "no such key", "remove it")
        };
        return changed.map(fault).collect();
    };
    if draws_images(tables) {
        let fault =
            |(_, key): (_, String)| Fault::unused(&key, "images have no prediction errors", "columns of numbers");
        return changed.map(fault).collect();
    }
    let mut faults = Vec::new();
    if !tables.has_test_rows() {
        let reason = "predictions are scored on test sequences, and there are none";
        let acts = "`data.test_fraction` or `data.test_path`";
        faults.extend(changed.map(|(_, key)| Fault::unused(&key, reason, acts)));
    }
    let is_of_errors = |name: &String| METRICS.iter().any(|metric| metric.name.ends_with(name.as_str()));
    let is_asked = own.warm_up != defaults.warm_up || tables.evaluation.metrics.iter().any(is_of_errors);
    if is_asked && own.warm_up >= longest && !tables.data.population {
        let steps = own.warm_up;
        faults.push(Fault::new(
            "evaluation.forecast.warm_up",
            format!("after a warm-up of {steps} steps nothing is left of test sequences of at most {longest}"),
            format!("fewer than {longest} steps"),
            "shorten the warm-up",
        ));
    }
    faults
}

/// The prediction errors of `theta` on the test sequences, by name; none without test sequences, and none of images, whose
/// filters would keep and factorise a matrix of all pairs of pixels.
///
/// # Errors
/// If an expectation cannot be computed.
pub fn prediction_errors(job: &Job, theta: &Parameters) -> Result<Vec<(String, f64)>> {
    let Some(test) = job.splits.test.as_ref().filter(|test| !test.observed.is_images()) else {
        return Ok(Vec::new());
    };
    let Some(model) = job.model.predictor(theta)? else {
        return Ok(Vec::new());
    };
    let settings = &job.evaluation.forecast;
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
    settings: &ForecastConfig,
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
