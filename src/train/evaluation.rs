//! The evaluation of θ: a loop over the parts of the data and the families of metrics ([`super::metrics`]).

use super::metrics::{Evaluator, FAMILIES, Tables};
use super::{Job, Trained};
use crate::Result;
use crate::data::{Batch, Batches, Dataset};
use crate::model::{Joint, Model};
use crate::nn::Parameters;
use candle_core::{DType, Tensor};

/// Rows evaluated at once: enough for efficient kernels, few enough to stay in cache.
pub const ROWS: usize = 512;

/// One evaluation: θ after `step` steps.
#[derive(Debug, Clone, Copy)]
pub struct Evaluation<'a> {
    /// The training run.
    pub job: &'a Job<'a>,
    /// θ.
    pub theta: &'a Parameters,
    /// Steps done.
    pub step: u64,
    /// The training rows, then the validation rows and the test rows if there are any.
    pub parts: &'a [Part<'a>],
}

impl<'a> Evaluation<'a> {
    /// The part called `name`; none if there are no such rows.
    pub fn part(&self, name: &str) -> Option<&'a Part<'a>> {
        self.parts.iter().find(|part| part.name == name)
    }
}

/// All metrics of `theta` after `step` steps, in a fixed order.
///
/// # Errors
/// If a value cannot be computed.
pub fn evaluate(job: &Job, theta: &Parameters, step: u64) -> Result<Vec<(String, f64)>> {
    let evaluation = Evaluation {
        job,
        theta: &theta.constant(),
        step,
        parts: &Part::all(job),
    };
    let families = FAMILIES.iter();
    let mut evaluators: Vec<Box<dyn Evaluator + '_>> =
        families.filter_map(|family| family.evaluator(evaluation)).collect();
    let mut found = Found::default();
    for part in evaluation.parts {
        let visitors = evaluators.iter_mut().filter(|evaluator| evaluator.visits(part));
        let mut visitors: Vec<_> = visitors.collect();
        if !visitors.is_empty() {
            for_each_joint(job.model, evaluation.theta, part.data, ROWS, |joint, rows| {
                visitors
                    .iter_mut()
                    .try_for_each(|visitor| visitor.visit(part, joint, rows))
            })?;
        }
        for evaluator in &mut evaluators {
            evaluator.after_part(part, &mut found)?;
        }
    }
    for evaluator in &mut evaluators {
        evaluator.finish(&mut found)?;
    }
    Ok(found.0)
}

/// All metrics of a trained model: those of [`evaluate`], and those that are computed once.
///
/// # Errors
/// If a value cannot be computed.
pub fn evaluate_trained(job: &Job, mut trained: Trained, tables: &Tables) -> Result<Vec<(String, f64)>> {
    let mut metrics = match trained.metrics.take() {
        Some(metrics) => metrics,
        None => evaluate(job, &trained.theta, trained.steps)?,
    };
    metrics.append(&mut trained.round);
    for family in FAMILIES {
        metrics.extend(family.of_trained(job, &trained, tables)?);
    }
    Ok(metrics)
}

/// The metrics found so far, in their order.
#[derive(Debug, Default)]
pub struct Found(Vec<(String, f64)>);

impl Found {
    /// Reports the metric `name`.
    pub fn push(&mut self, name: impl Into<String>, value: f64) {
        self.0.push((name.into(), value));
    }

    /// The value of the metric `name`; none if it was not reported.
    pub fn get(&self, name: &str) -> Option<f64> {
        value_of(&self.0, name)
    }
}

/// The value of the metric `name`.
pub fn value_of(metrics: &[(String, f64)], name: &str) -> Option<f64> {
    metrics.iter().find(|(own, _)| own == name).map(|(_, value)| *value)
}

/// A part of the data, in the units that the model sees, and the way back to the data's units.
#[derive(Debug)]
pub struct Part<'a> {
    /// Its name in the names of metrics: `train`, `validation` or `test`.
    pub name: &'static str,
    /// Its rows.
    pub data: &'a Dataset,
    /// How much a log-density in the model's units exceeds that in the data's units, in nats per datum.
    log_scale: f64,
}

impl<'a> Part<'a> {
    /// All parts of the job's data.
    fn all(job: &Job<'a>) -> Vec<Self> {
        let (splits, original) = (job.splits, job.original);
        let parts = [
            ("train", Some((&splits.train, &original.train))),
            (
                "validation",
                splits.validation.as_ref().zip(original.validation.as_ref()),
            ),
            ("test", splits.test.as_ref().zip(original.test.as_ref())),
        ];
        let part = |(name, rows): (&'static str, Option<(&'a Dataset, &'a Dataset)>)| {
            let (data, original) = rows?;
            let log_scale = splits.standardization.observed.log_scale_of(original);
            Some(Self { name, data, log_scale })
        };
        parts.into_iter().filter_map(part).collect()
    }

    /// The name of the metric `name` of this part.
    pub fn metric(&self, name: &str) -> String {
        format!("{}/{name}", self.name)
    }

    /// A mean log-density in the data's units, from that in the model's units, in nats per datum: the one place of this
    /// correction.
    pub fn log_density(&self, value: f64) -> f64 {
        value - self.log_scale
    }
}

/// Visits `data` in order, `size` rows at a time, each batch with its joint.
///
/// # Errors
/// If there is no joint, and those of `visit`.
pub fn for_each_joint(
    model: &dyn Model,
    theta: &Parameters,
    data: &Dataset,
    size: usize,
    mut visit: impl FnMut(&dyn Joint, &Batch) -> Result<()>,
) -> Result<()> {
    for rows in Batches::new(data, theta.dtype(), &theta.device()).parts(size) {
        let rows = rows?;
        visit(model.joint(theta, &rows)?.as_ref(), &rows)?;
    }
    Ok(())
}

/// A weighted sum over the rows of a data set, added batch by batch.
#[derive(Debug, Default)]
pub struct Sum {
    rows: usize,
    sum: f64,
}

impl Sum {
    /// Adds the `values` of the next rows of `data`. `[B]`
    ///
    /// # Errors
    /// If the tensor has another shape.
    pub fn add(&mut self, data: &Dataset, values: &Tensor) -> Result<()> {
        self.add_values(data, &values.to_dtype(DType::F64)?.to_vec1::<f64>()?);
        Ok(())
    }

    /// Adds the `values` of the next rows of `data`.
    pub fn add_values(&mut self, data: &Dataset, values: &[f64]) {
        self.sum += values
            .iter()
            .enumerate()
            .map(|(i, value)| match data.weight(self.rows + i) {
                0.0 => 0.0,
                weight => weight * value,
            })
            .sum::<f64>();
        self.rows += values.len();
    }

    /// The weighted mean over the rows of `data`.
    pub fn mean(&self, data: &Dataset) -> f64 {
        self.sum / data.total_weight()
    }
}

/// A scalar tensor as f64.
pub(super) fn scalar(tensor: &Tensor) -> Result<f64> {
    Ok(match tensor.dtype() {
        DType::F32 => f64::from(tensor.to_scalar::<f32>()?),
        _ => tensor.to_dtype(DType::F64)?.to_scalar()?,
    })
}

/// Whether a term `[B, S]` is not finite. −∞ is a valid log-probability, unless a row has no other value.
pub(super) fn is_broken(term: &Tensor) -> bool {
    let rows = term.to_dtype(DType::F64).and_then(|term| term.to_vec2::<f64>());
    rows.is_ok_and(|rows| {
        rows.iter().any(|row| {
            row.iter().any(|v| v.is_nan() || *v == f64::INFINITY) || row.iter().all(|v| *v == f64::NEG_INFINITY)
        })
    })
}
