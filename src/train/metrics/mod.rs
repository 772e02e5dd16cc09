//! Metrics: one file per [`Family`], which declares its metrics, its keys in `[evaluation]` and its computation.
//!
//! [`FAMILIES`] lists the families. `list metric`, `describe metric NAME`, the checks of `[evaluation]` and
//! [`evaluate`](super::evaluation::evaluate) follow from it.
//!
//! The log-likelihood of a model has four names, so that no table can mix them:
//!
//! | name | value |
//! |---|---|
//! | `log_likelihood` | exact: a finite sum, or a Gaussian integral in closed form |
//! | `log_likelihood_grid` | a sum over a grid of the latent variable, with `quadrature_error` |
//! | `log_likelihood_estimate` | a particle estimate, with its standard error and its bias |
//! | `log_likelihood_bound` | a lower bound (in expectation), with its standard error |

mod baseline;
mod bounds;
mod config;
mod control;
mod criteria;
mod estimator;
mod forecast;
mod latents;
mod likelihood;
mod metric;
mod objective;
mod open_loop;
mod oracle;
mod parameters;
mod prediction;
mod regression;
mod representation;
mod rollout;
mod state;
#[cfg(test)]
mod testing;

pub use bounds::BoundsConfig;
pub use config::{EvaluationConfig, Tables};
pub use control::ControlConfig;
pub(super) use control::planning;
pub use estimator::EstimatorConfig;
pub use forecast::{ForecastConfig, prediction_errors};
pub use likelihood::mean_log_likelihood;
pub(super) use likelihood::{score, validation};
pub use metric::{Condition, DataPart, Declared, Metric, with_kinds};
pub use open_loop::OpenLoopConfig;
pub use rollout::RolloutConfig;

use super::evaluation::{Evaluation, Found, Part};
use super::{Job, Trained};
use crate::Result;
use crate::data::Batch;
use crate::data::source::Shape;
use crate::error::Fault;
use crate::model::Joint;
use std::sync::LazyLock;

/// The families of metrics, in the order in which an evaluation reports them.
pub const FAMILIES: &[&dyn Family] = &[
    &likelihood::Likelihood,
    &oracle::Oracle,
    &prediction::Prediction,
    &bounds::Bounds,
    &objective::Objective,
    &criteria::Criteria,
    &parameters::Parameters,
    &baseline::Baseline,
    &forecast::Forecast,
    &state::State,
    &representation::Representation,
    &open_loop::OpenLoop,
    &rollout::Rollout,
    &control::Control,
    &estimator::Estimator,
];

/// Metrics that are declared and computed together.
pub trait Family: Sync {
    /// Its metrics.
    fn declared(&self) -> &'static [Declared];

    /// What is wrong with its keys in `[evaluation]`, for rows of this shape; the shape is none if the data are at fault.
    fn faults(&self, _tables: &Tables, _shape: Option<&Shape>) -> Vec<Fault> {
        Vec::new()
    }

    /// What computes its metrics in one evaluation; none if it has metrics of the trained parameters alone.
    fn evaluator<'a>(&self, _evaluation: Evaluation<'a>) -> Option<Box<dyn Evaluator + 'a>> {
        None
    }

    /// The metrics that are computed once, after training.
    ///
    /// # Errors
    /// If a value cannot be computed.
    fn of_trained(&self, _job: &Job, _trained: &Trained, _tables: &Tables) -> Result<Vec<(String, f64)>> {
        Ok(Vec::new())
    }
}

/// Computes the metrics of a family in one evaluation.
///
/// For each part of the data, `visit` sees its rows in batches, and then `after_part` reports the metrics of the part. At
/// the end `finish` reports all others.
pub trait Evaluator {
    /// Whether it is to visit the rows of `part`.
    fn visits(&self, _part: &Part) -> bool {
        false
    }

    /// Adds the next rows of `part`. All families get the same joint, so they share what it has computed.
    ///
    /// # Errors
    /// If a value cannot be computed.
    fn visit(&mut self, _part: &Part, _joint: &dyn Joint, _rows: &Batch) -> Result<()> {
        Ok(())
    }

    /// Reports the metrics of `part`.
    ///
    /// # Errors
    /// If a value cannot be computed.
    fn after_part(&mut self, _part: &Part, _found: &mut Found) -> Result<()> {
        Ok(())
    }

    /// Reports the metrics of the evaluation. Those of every part have been reported.
    ///
    /// # Errors
    /// If a value cannot be computed.
    fn finish(&mut self, _found: &mut Found) -> Result<()> {
        Ok(())
    }
}

/// Every metric, family by family.
pub static METRICS: LazyLock<Vec<Metric>> = LazyLock::new(|| {
    let declared = FAMILIES.iter().flat_map(|family| family.declared());
    declared.flat_map(Declared::metrics).collect()
});

/// The metric called `name`; without the part before the slash, the first match among test, roll-out, control, training,
/// estimator and posterior metrics. A parameter that a file names in its formulas is a metric, too, and so is the
/// share of one column of the true state, as in `test/linear_r2[theta_dot]`.
pub fn find(name: &str) -> Option<&'static Metric> {
    let called = |name: &str| METRICS.iter().find(|metric| metric.name == name);
    let groups = ["test", "rollout", "control", "train", "estimator", "posterior"];
    called(name)
        .or_else(|| groups.iter().find_map(|group| called(&format!("{group}/{name}"))))
        .or_else(|| parameters::of_formulas(name))
        .or_else(|| representation::of_column(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_metric_has_its_own_name_and_complete_texts() {
        let names: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!(names.len(), METRICS.len());
        for metric in METRICS.iter() {
            let Metric {
                name,
                title,
                formula,
                needs,
                ..
            } = metric;
            for text in [name, title, formula, needs] {
                assert!(!text.is_empty() && !text.starts_with(' '), "{name}: {text:?}");
                assert!(!text.contains("{part}") && !text.contains("{rows}"), "{name}: {text}");
            }
        }
    }

    /// A name with a part says in its texts which part it is of.
    #[test]
    fn metrics_of_a_part_are_declared_once_and_read_as_if_written_for_it() {
        let metric = |name: &str| find(name).unwrap_or_else(|| panic!("no {name}"));
        let error = metric("validation/log_likelihood_bound_standard_error");
        assert_eq!(error.title, "standard error of the validation lower bound");
        assert!(
            error
                .formula
                .starts_with("standard error of validation/log_likelihood_bound over")
        );
        assert!(
            error.needs.ends_with("can cover, `data.validation_fraction`"),
            "{}",
            error.needs
        );
        assert_eq!(
            metric("train/elbo").needs,
            "a posterior with a recognition network, and no test rows"
        );
        assert_eq!(metric("train/baseline").needs, "no test rows");
        assert_eq!(metric("elbo").name, "test/elbo");
        assert!(find("validation/elbo").is_none());
    }
}
