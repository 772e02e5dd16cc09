//! Learnt parameters, and their distance to those of the generator.

use super::{Condition, Declared, Evaluator, Family, Metric};
use crate::Result;
use crate::math::formula::is_name;
use crate::model::Model;
use crate::nn;
use crate::train::evaluation::{Evaluation, Found};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// A coefficient of the state space, with `name` and `formula`.
const fn coefficient(name: &'static str, title: &'static str, formula: &'static str) -> Declared {
    Declared {
        parts: &[],
        name,
        title,
        formula,
        needs: "`nonlinear_gaussian_ssm` with this coefficient learnt",
        conditions: &[Condition {
            what: "a model whose parameters have names",
            write: "`nonlinear_gaussian_ssm`",
            holds: |tables| tables.model.abilities().has_named_parameters,
        }],
        unit: "units of the model",
        larger_is_better: None,
    }
}

const METRICS: &[Declared] = &[
    coefficient(
        "parameter/a",
        "estimated a",
        "the learnt a of x' = a x + b x / (1 + x²) + c cos(1.2 t) + w, after standardisation; of formulas, the parameter of this name",
    ),
    coefficient(
        "parameter/b",
        "estimated b",
        "the learnt b of x' = a x + b x / (1 + x²) + c cos(1.2 t) + w, after standardisation; of formulas, the parameter of this name",
    ),
    coefficient(
        "parameter/c",
        "estimated c",
        "the learnt c of x' = a x + b x / (1 + x²) + c cos(1.2 t) + w, after standardisation; of formulas, the parameter of this name",
    ),
    coefficient(
        "parameter/d",
        "estimated d",
        "the learnt d of o = d x² + v, after standardisation; of formulas, the parameter of this name",
    ),
    Declared {
        needs: "`nonlinear_gaussian_ssm` with its transition variance learnt",
        unit: "squared units of the state",
        ..coefficient(
            "parameter/q",
            "estimated q",
            "the learnt variance of w in x' = a x + b x / (1 + x²) + c cos(1.2 t) + w, after standardisation",
        )
    },
    Declared {
        needs: "`nonlinear_gaussian_ssm` with its emission variance learnt",
        unit: "squared units of the data",
        ..coefficient(
            "parameter/r",
            "estimated r",
            "the learnt variance of v in o = d x² + v, after standardisation",
        )
    },
    Declared {
        parts: &[],
        name: "prior_error",
        title: "error of the component weights",
        formula: "‖p_θ(z) − p(z)‖₂, p(z) the component weights of the generator",
        needs: "`data.source = \"mixture_of_twenty\"` and a mixture with its fixed components",
        conditions: &[],
        unit: "probability",
        larger_is_better: Some(false),
    },
];

/// The metric `parameter/NAME` of a parameter that an experiment file names in its formulas. The names are those of users, so
/// that their metrics are made when they are asked for, and then kept.
pub(super) fn of_formulas(name: &str) -> Option<&'static Metric> {
    static ASKED: Mutex<BTreeMap<String, &'static Metric>> = Mutex::new(BTreeMap::new());
    let parameter = name.strip_prefix("parameter/")?;
    if !is_name(parameter) {
        return None;
    }
    let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || {
        let declared = coefficient("parameter", "", "");
        let metric: &'static Metric = Box::leak(Box::new(Metric {
            name: name.to_owned(),
            title: format!("estimated {parameter}"),
            formula: format!(
                "the learnt value of `{parameter}`, a parameter of the formulas or a variance (q1, q2, … of the states, r1, r2, … \
                 of the observations)"
            ),
            needs: "`nonlinear_gaussian_ssm` with formulas".to_owned(),
            conditions: declared.conditions.to_vec(),
            unit: declared.unit,
            larger_is_better: None,
        }));
        metric
    };
    Some(asked.entry(name.to_owned()).or_insert_with(make))
}

/// The family.
pub(super) struct Parameters;

impl Family for Parameters {
    fn declared(&self) -> &'static [Declared] {
        METRICS
    }

    fn evaluator<'a>(&self, evaluation: Evaluation<'a>) -> Option<Box<dyn Evaluator + 'a>> {
        Some(Box::new(Computation(evaluation)))
    }
}

struct Computation<'a>(Evaluation<'a>);

impl Evaluator for Computation<'_> {
    fn finish(&mut self, found: &mut Found) -> Result<()> {
        let Evaluation { job, theta, .. } = self.0;
        for (name, value) in job.model.named(theta)? {
            found.push(format!("parameter/{name}"), value);
        }
        if let Some(truth) = &job.splits.true_prior
            && let Some(error) = prior_error(job.model, theta, truth)?
        {
            found.push("prior_error", error);
        }
        Ok(())
    }
}

/// Euclidean distance between the model's p(z) and the true one; none unless the components can be matched.
fn prior_error(model: &dyn Model, theta: &nn::Parameters, truth: &[f64]) -> Result<Option<f64>> {
    let Some(weights) = model.identified_prior(theta)? else {
        return Ok(None);
    };
    let squares = weights.iter().zip(truth).map(|(p, q)| (p - q).powi(2));
    Ok((weights.len() == truth.len()).then(|| squares.sum::<f64>().sqrt()))
}
