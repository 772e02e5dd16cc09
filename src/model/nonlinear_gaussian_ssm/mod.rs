//! A state space with Gaussian noise and mean functions that are linear in their coefficients, named or written as
//! formulas, for sequences with inputs and missing values: `x_1 ~ N(m₁, P₁)`, `x_{t+1} = W φ(x_t, u_t, t) + w`,
//! `o_t = V ψ(x_t, u_t) + v`, `w ~ N(0, Q)`, `v ~ N(0, R)`, Q, R and P₁ diagonal. This file is its table in an experiment file; the model is in `nonlinear`.
//!
//! Every parameter is learnt from its start, fixed, or fixed entry by entry. The likelihood has no closed form: the
//! bootstrap filter's estimate is reported. Posteriors linearise, use sigma points, or simulate particles.

mod function;
mod joint;
mod model;

use super::kind::{Abilities, LatentKind, MStep, ModelKind};
use super::linear_gaussian_ssm::VectorKeys;
use super::{LikelihoodKind, Model};
use crate::data::file::Asked;
use crate::error::Fault;
use crate::kind::{Declared, Example};
use crate::math::nonlinear::Basis;
use crate::{Error, Result, data::Dataset, data::source::Widths};
use function::Function;
use model::{Entries, NonlinearStateSpace, Settings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The mean of the next state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransitionFunction {
    /// a x + b x / (1 + x²) + c cos(1.2 t), t from 1; one-dimensional. Starts at 0.5, 25, 8.
    Growth,
    /// `formulas`, one for each dimension of the state.
    Formulas,
}

/// The mean of an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmissionFunction {
    /// d x², one-dimensional. Starts at 0.05.
    Square,
    /// `formulas`, one for each observed column.
    Formulas,
}

/// Formulas that a file writes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Formulas {
    /// With `function = "formulas"`: formulas of the states x1, x2, …, the inputs u1, u2, …, the step t (from 1) and
    /// `parameters`. Each must be linear in its parameters, and each parameter must be in one formula, so that the M-step
    /// has a closed form; `neural_ssm` takes formulas that are not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub formulas: Vec<String>,
    /// The names of the parameters, which are the coefficients. They start at 1 without `start`. A record holds the learnt
    /// values as `parameter/NAME`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<String>,
}

/// The keys of the transition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TransitionKeys {
    /// The function.
    pub function: TransitionFunction,
    /// Formulas.
    #[serde(flatten)]
    pub formulas: Formulas,
    /// Coefficients that are not learnt; an entry `nan` is learnt.
    #[serde(flatten)]
    pub coefficients: VectorKeys,
}

impl Default for TransitionKeys {
    fn default() -> Self {
        Self {
            function: TransitionFunction::Growth,
            formulas: Formulas::default(),
            coefficients: VectorKeys::default(),
        }
    }
}

/// The keys of the emission.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EmissionKeys {
    /// The function.
    pub function: EmissionFunction,
    /// Formulas.
    #[serde(flatten)]
    pub formulas: Formulas,
    /// Coefficients that are not learnt; an entry `nan` is learnt.
    #[serde(flatten)]
    pub coefficients: VectorKeys,
}

impl Default for EmissionKeys {
    fn default() -> Self {
        Self {
            function: EmissionFunction::Square,
            formulas: Formulas::default(),
            coefficients: VectorKeys::default(),
        }
    }
}

/// Where initial values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InitialValues {
    /// Each equals its `start`.
    Given,
    /// Each is drawn uniformly within ± `spread` of its `start`.
    Random,
}

/// Keys of `kind = "nonlinear_gaussian_ssm"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NonlinearGaussianSsm {
    /// f: its `function` with the coefficients W. `fixed` ones are not learnt, except entries `nan`; `start` gives
    /// initial values.
    pub transition: TransitionKeys,
    /// g: its `function` with the coefficients V. `fixed` ones are not learnt, except entries `nan`; `start` gives
    /// initial values.
    pub emission: EmissionKeys,
    /// The diagonal of Q: `fixed` and `start`, which is 0.1 without this key. `[X]`
    pub transition_variances: VectorKeys,
    /// The diagonal of R: `fixed` and `start`, which is 0.1 without this key. `[O]`
    pub emission_variances: VectorKeys,
    /// m₁: `fixed` and `start`; fixed at zero without this key. `[X]`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_mean: Option<VectorKeys>,
    /// The diagonal of P₁: `fixed` and `start`; fixed at zero (x₁ is known) without this key. `[X]`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_variances: Option<VectorKeys>,
    /// Where initial values come from.
    pub initial_values: InitialValues,
    /// With `initial_values = "random"`, their largest distance from `start`, as a fraction of it.
    #[schemars(range(min = 0.0, max = 0.99))]
    pub spread: f64,
    /// Particles of the bootstrap filter that estimates the log-likelihood and predicts in evaluations.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub likelihood_particles: usize,
}

impl Default for NonlinearGaussianSsm {
    fn default() -> Self {
        Self {
            transition: TransitionKeys::default(),
            emission: EmissionKeys::default(),
            transition_variances: VectorKeys::default(),
            emission_variances: VectorKeys::default(),
            initial_mean: None,
            initial_variances: None,
            initial_values: InitialValues::Random,
            spread: 0.5,
            likelihood_particles: 1000,
        }
    }
}

impl NonlinearGaussianSsm {
    /// The faults for data with these numbers of columns.
    pub fn check(&self, widths: Widths) -> Vec<Fault> {
        let (observed, given) = (widths.observed, widths.given);
        let outputs = match self.emission.function {
            EmissionFunction::Square => 1,
            EmissionFunction::Formulas => self.emission.formulas.formulas.len(),
        };
        if observed != outputs {
            return vec![Fault::new(
                "emission.function",
                format!("the data have {observed} observed columns, and this function gives {outputs}"),
                format!("{outputs} observed columns"),
                "choose other columns, or `function = \"formulas\"` with a formula for each",
            )];
        }
        if given > 0 && !self.has_formulas() {
            return vec![Fault::new(
                "transition.function",
                format!("the data have {given} inputs, and the named functions have none"),
                "no input, or formulas",
                "remove the inputs, write `function = \"formulas\"`, or choose another model",
            )];
        }
        let mut faults: Vec<Fault> = self.settings(given).err().into_iter().collect();
        if self.initial_values == InitialValues::Given && self.spread != Self::default().spread {
            let reason = "the initial values are those given as `start`";
            faults.push(Fault::unused("spread", reason, "`initial_values = \"random\"`"));
        }
        faults
    }

    /// Whether any parameter of p(x_1) and p(x_{t+1} | x_t) is learnt.
    pub fn learns_dynamics(&self) -> bool {
        let is_learnt = |keys: &VectorKeys| {
            let fixed = keys.fixed.as_ref();
            fixed.is_none_or(|fixed| fixed.iter().any(|v| v.0.is_nan()))
        };
        let initial = [&self.initial_mean, &self.initial_variances];
        is_learnt(&self.transition.coefficients)
            || is_learnt(&self.transition_variances)
            || initial.into_iter().flatten().any(is_learnt)
    }

    /// Whether a function is written as formulas.
    fn has_formulas(&self) -> bool {
        self.transition.function == TransitionFunction::Formulas || self.emission.function == EmissionFunction::Formulas
    }

    /// X.
    fn states(&self) -> usize {
        match self.transition.function {
            TransitionFunction::Growth => 1,
            TransitionFunction::Formulas => self.transition.formulas.formulas.len(),
        }
    }

    /// f and g, for this number of inputs.
    fn functions(&self, inputs: usize) -> std::result::Result<[Function; 2], Fault> {
        let states = self.states();
        let (f, g) = (&self.transition.formulas, &self.emission.formulas);
        let transition = match self.transition.function {
            TransitionFunction::Growth => {
                Function::named("transition", f, Basis::Growth, &[("a", 0.5), ("b", 25.0), ("c", 8.0)])
            }
            TransitionFunction::Formulas => Function::of_formulas("transition", f, states, inputs),
        }?;
        let emission = match self.emission.function {
            EmissionFunction::Square => Function::named("emission", g, Basis::Square, &[("d", 0.05)]),
            EmissionFunction::Formulas => Function::of_formulas("emission", g, states, inputs),
        }?;
        if emission.basis.states() != states {
            return Err(Fault::new(
                "emission.function",
                format!("this function has one state, and the transition has {states}"),
                "functions of the same states",
                "write both as formulas",
            ));
        }
        let taken = transition.names();
        if let Some(i) = (0..g.parameters.len()).find(|&i| taken.contains(&Some(g.parameters[i].clone()))) {
            return Err(Fault::new(
                format!("emission.parameters.{i}"),
                format!("`{}` is a parameter of the transition, too", g.parameters[i]),
                "a name for each parameter",
                "choose another name",
            ));
        }
        Ok([transition, emission])
    }

    /// Fixed and starting values, for this number of inputs.
    fn settings(&self, inputs: usize) -> std::result::Result<Settings, Fault> {
        let functions = self.functions(inputs)?;
        let (states, outputs) = (self.states(), functions[1].outputs());
        let transition = functions[0].coefficients("transition", &self.transition.coefficients)?;
        let emission = functions[1].coefficients("emission", &self.emission.coefficients)?;
        let names = functions.each_ref().map(Function::names);
        let zero = VectorKeys {
            fixed: Some(vec![super::linear_gaussian_ssm::Entry(0.0); states]),
            start: None,
        };
        let mean = self.initial_mean.as_ref().unwrap_or(&zero);
        let variances = self.initial_variances.as_ref().unwrap_or(&zero);
        let noise = |key, keys, size, least| entries(key, keys, &vec![0.1; size], Some(least));
        Ok(Settings {
            functions: functions.map(|function| function.basis),
            names,
            entries: [
                entries("initial_mean", mean, &vec![0.0; states], None)?,
                noise("initial_variances", variances, states, 0.0)?,
                transition,
                noise("transition_variances", &self.transition_variances, states, 0.0)?,
                emission,
                noise(
                    "emission_variances",
                    &self.emission_variances,
                    outputs,
                    f64::MIN_POSITIVE,
                )?,
            ],
            spread: match self.initial_values {
                InitialValues::Given => 0.0,
                InitialValues::Random => self.spread,
            },
            likelihood_particles: self.likelihood_particles,
        })
    }

    /// The model for sequences like `train`.
    pub fn build(&self, train: &Dataset) -> Result<NonlinearStateSpace> {
        let inputs = train.given.as_ref().map_or(0, |inputs| inputs.columns());
        let settings = self.settings(inputs).map_err(|fault| Error::Other(fault.to_string()))?;
        NonlinearStateSpace::new(settings, train)
    }
}

/// One parameter. For variances, `least` is the smallest value that may be fixed, and learnt ones start positive.
fn entries(key: &str, keys: &VectorKeys, otherwise: &[f64], least: Option<f64>) -> std::result::Result<Entries, Fault> {
    let fixed = keys
        .fixed
        .as_ref()
        .map(|fixed| fixed.iter().map(|entry| entry.0).collect::<Vec<_>>());
    for (name, values) in [("fixed", &fixed), ("start", &keys.start)] {
        let Some(values) = values else { continue };
        let at = format!("{key}.{name}");
        if values.len() != otherwise.len() {
            let (came, wanted) = (values.len(), otherwise.len());
            return Err(Fault::new(
                at,
                format!("{came} numbers do not fit"),
                format!("{wanted} numbers"),
                "one for each coefficient or dimension, in the order of the formula; `nan` in `fixed` for learnt entries",
            ));
        }
        let least = match name {
            "fixed" => least,
            _ => least.map(|_| f64::MIN_POSITIVE),
        };
        let supported =
            |v: &f64| (v.is_nan() && name == "fixed") || (v.is_finite() && least.is_none_or(|least| *v >= least));
        if let Some(bad) = values.iter().find(|v| !supported(v)) {
            return Err(Fault::new(
                at,
                format!("it holds {bad}"),
                if least.is_some() {
                    "positive variances"
                } else {
                    "finite numbers"
                },
                "learnt variances and those of observations must be above 0; `nan` in `fixed` is learnt",
            ));
        }
    }
    if let (Some(fixed), Some(start)) = (&fixed, &keys.start)
        && let Some((fixed, start)) = fixed
            .iter()
            .zip(start)
            .find(|(fixed, start)| !fixed.is_nan() && fixed != start)
    {
        return Err(Fault::new(
            format!("{key}.start"),
            format!("an entry that is fixed at {fixed} would start at {start}"),
            "the same values where both are given",
            "remove `start`, or write `nan` in `fixed` for learnt entries",
        ));
    }
    Ok(Entries {
        fixed: fixed.unwrap_or_else(|| vec![f64::NAN; otherwise.len()]),
        start: keys.start.clone().unwrap_or_else(|| otherwise.to_vec()),
    })
}

impl Declared for NonlinearGaussianSsm {
    const NAME: &'static str = "nonlinear_gaussian_ssm";
    const SUMMARY: &'static str = "A state space with Gaussian noise and nonlinear means, named or as formulas: x_{t+1} = f(x_t, u_t, t) + w, o_t = g(x_t, \
         u_t) + v, for sequences with missing values.";
    const EQUATION: &'static str =
        "log p(o, x) = log N(x_1; m₁, P₁) + Σ_t log N(x_{t+1}; W φ(x_t, u_t, t), Q) + Σ_t log N(o_t; V ψ(x_t, u_t), R)";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"growth\"\ntrain = 200",
        model: "kind = \"nonlinear_gaussian_ssm\"",
        posterior: "kind = \"particle\"",
        ..Example::USUAL
    };
}

impl ModelKind for NonlinearGaussianSsm {
    fn abilities(&self) -> Abilities {
        Abilities {
            density: true,
            states: Some(self.states()),
            state_space: true,
            m_step: MStep::AnyPosterior,
            has_one_start: self.initial_values == InitialValues::Given || self.spread == 0.0,
            learns_prior: self.learns_dynamics(),
            has_named_parameters: true,
            ..Abilities::none(LatentKind::Trajectory, Asked::Varying)
        }
    }

    fn likelihood(&self, _is_given: bool) -> LikelihoodKind {
        LikelihoodKind::Estimate
    }

    fn check(&self, widths: Widths) -> Vec<Fault> {
        Self::check(self, widths)
    }

    fn build(&self, train: &Dataset) -> Result<Box<dyn Model>> {
        Ok(Box::new(Self::build(self, train)?))
    }
}
