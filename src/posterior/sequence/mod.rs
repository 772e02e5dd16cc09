//! Networks of sequences: q_φ(x_1 … x_T | o_1 … o_T, u) by family.
//!
//! | family | form |
//! |---|---|
//! | `deterministic` | x_t = g(o_t), or of a short window |
//! | `single_step` | Π_t q(x_t given o_t) |
//! | `mean_field` | Π_t q(x_t given o_1 … o_t), or given o_1 … o_T |
//! | `filtering` | Π_t q(x_t given x_{t−1}, o_1 … o_t) |
//! | `smoothing` | Π_t q(x_t given x_{t−1}, o_t … o_T), or o_1 … o_T (Krishnan, Shalit & Sontag 2017) |
//! | `initial_only` | q(x_1 given o_1 … o_T), or given o_1, then the model's own transition |
//! | `transition_noise` | the noise of the model's own transition, given o_t … o_T (Karl et al. 2017) |
//! | `conjugate` | the posterior of a linear-Gaussian prior under potentials of x_t given o_t (Johnson et al. 2016) |
//!
//! Every q but the last is a Gaussian of x_t, given the state before it or not, whose parameters are a network of what the family sees:
//! o_t and u_{t−1} themselves, the state of a recurrent network of the past (o and u_{t−1}, forwards) and that of one of the
//! future (o and u_t, backwards). Observations and inputs are standardised over the training steps. The network's mean is
//! in units of the states' size under the initial model, which φ may change; a linear layer beside its hidden layers lets
//! it be linear from the start.

mod chain;
mod conjugate;
mod least_gap;
mod networks;
mod start;

use super::paths::Paths;
use super::recognition::Recognition;
use super::{Distribution, Fit};
use crate::Result;
use crate::data::Dataset;
use crate::error::Fault;
use crate::math::streams::Streams;
use crate::model::{Abilities, Joint, Model, Sequential};
use crate::nn::Parameters;
use chain::Chain;
use conjugate::Conjugate;
use networks::Networks;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
pub use start::{InitialValues, LeastSquaresKeys};
use std::sync::Arc;

/// The form of q of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SequenceFamily {
    /// x_t is a function of a window of observations that ends at o_t: a point without a density.
    Deterministic,
    /// Independent steps, each given its own observation.
    SingleStep,
    /// Independent steps, each given the observations that `sees` says.
    MeanField,
    /// A chain: each step given the one before it and the past.
    Filtering,
    /// A chain: each step given the one before it and the future, which is the form of the true posterior.
    Smoothing,
    /// The first state given all observations; the later ones by the model's own transition.
    InitialOnly,
    /// A chain: the noise of the model's own transition, given the state before it and the observations.
    TransitionNoise,
    /// The exact posterior of the model's own transition, which must be linear, under Gaussian potentials: networks of each
    /// step's own observation.
    Conjugate,
}

/// The observations that a step of q is conditioned on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sees {
    /// o_1 … o_t.
    Past,
    /// o_t … o_T.
    Future,
    /// o_1 … o_T.
    All,
    /// o_t.
    Own,
}

/// Keys of a network of sequences.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SequenceKeys {
    /// Of a model of sequences: the form of q. `smoothing` without this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<SequenceFamily>,
    /// Of a model of sequences: the observations that a step of q is conditioned on. Without this key `all` for
    /// `mean_field`, `past` for `filtering`, `future` for `smoothing`, `initial_only` and `transition_noise`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sees: Option<Sees>,
    /// Of a model of sequences: units of each recurrent network; 64 without this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_536))]
    pub recurrent_units: Option<usize>,
    /// Of a model of sequences: whether q is given the number t of the step as well, by its logarithm. A recurrent network can
    /// count steps; the families that see their own step alone can not. `false` without this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sees_step: Option<bool>,
    /// Of the families `filtering` and `smoothing`: whether the network of x_t is given the mean of the model's own p(x_t |
    /// x_{t−1}, u_{t−1}) beside x_{t−1}. Where the transition is far from linear, q then need not learn it a second time.
    /// `false` without this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sees_transition: Option<bool>,
    /// Of the family `deterministic`: observations that x_t is a function of, o_{t−w+1} … o_t; 1 without this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub window: Option<usize>,
    /// Of a model of sequences: where the mean of q starts, and how long it stays there. Without this key its network starts
    /// at random numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_values: Option<InitialValues>,
}

impl SequenceFamily {
    /// What it may see; the first is the default.
    fn sees(self) -> &'static [Sees] {
        match self {
            Self::Deterministic | Self::SingleStep | Self::Conjugate => &[],
            Self::MeanField => &[Sees::All, Sees::Past, Sees::Future],
            Self::Filtering => &[Sees::Past],
            Self::Smoothing => &[Sees::Future, Sees::All],
            Self::InitialOnly => &[Sees::Future, Sees::Own],
            Self::TransitionNoise => &[Sees::Future, Sees::Past, Sees::All],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Deterministic => "deterministic",
            Self::SingleStep => "single_step",
            Self::MeanField => "mean_field",
            Self::Filtering => "filtering",
            Self::Smoothing => "smoothing",
            Self::InitialOnly => "initial_only",
            Self::TransitionNoise => "transition_noise",
            Self::Conjugate => "conjugate",
        }
    }
}

impl Sees {
    fn name(self) -> &'static str {
        match self {
            Self::Past => "past",
            Self::Future => "future",
            Self::All => "all",
            Self::Own => "own",
        }
    }
}

/// What the distribution of one state in the middle of a sequence is conditioned on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// Observations before its own step.
    pub past: bool,
    /// The observation of its own step.
    pub own: bool,
    /// Observations after its own step.
    pub future: bool,
    /// The state before it.
    pub before: bool,
}

impl SequenceKeys {
    /// What the distribution of one state in the middle of a sequence is conditioned on.
    pub fn sight(&self) -> Sight {
        let (family, sees) = (self.family(), self.sees());
        // Of potentials the smoother makes a chain that is given everything.
        let is_smoothed = family == SequenceFamily::Conjugate;
        let is_windowed = family == SequenceFamily::Deterministic && self.window.is_some_and(|window| window > 1);
        let is_initial = family == SequenceFamily::InitialOnly;
        let sees = |own| !is_initial && (sees == Some(own) || sees == Some(Sees::All));
        Sight {
            past: sees(Sees::Past) || is_windowed || is_smoothed,
            own: !is_initial,
            future: sees(Sees::Future) || is_smoothed,
            before: family.is_chain() || is_initial || is_smoothed,
        }
    }

    /// The family.
    pub fn family(&self) -> SequenceFamily {
        self.family.unwrap_or(SequenceFamily::Smoothing)
    }

    /// What it sees, if the family sees more than its own step.
    pub fn sees(&self) -> Option<Sees> {
        self.sees.or_else(|| self.family().sees().first().copied())
    }

    /// Whether paths of q have a density.
    pub fn has_density(&self) -> bool {
        self.family() != SequenceFamily::Deterministic
    }

    /// Whether paths are drawn one state after another, from known distributions.
    pub fn is_stepwise(&self) -> bool {
        !matches!(self.family(), SequenceFamily::Deterministic | SequenceFamily::Conjugate)
    }

    /// The names of the keys that are given.
    pub fn given(&self) -> impl Iterator<Item = &'static str> {
        let keys = [
            ("family", self.family.is_some()),
            ("sees", self.sees.is_some()),
            ("recurrent_units", self.recurrent_units.is_some()),
            ("window", self.window.is_some()),
            ("sees_step", self.sees_step.is_some()),
            ("sees_transition", self.sees_transition.is_some()),
            ("initial_values", self.initial_values.is_some()),
        ];
        keys.into_iter().filter(|(_, is_given)| *is_given).map(|(key, _)| key)
    }

    /// The faults of these keys beside a model that can do this and φ that is trained so.
    pub fn check(&self, model: &Abilities) -> Vec<Fault> {
        if !model.is_sequential() {
            let reason = "it is for networks of sequences, and this is a model of rows";
            let fault = |key| Fault::unused(key, reason, "a model of sequences");
            return self.given().map(fault).collect();
        }
        let family = self.family();
        let mut faults = Vec::new();
        if let Some(sees) = self.sees
            && !family.sees().contains(&sees)
        {
            let names: Vec<String> = family
                .sees()
                .iter()
                .map(|own| format!("`sees = {:?}`", own.name()))
                .collect();
            faults.push(Fault::new(
                "sees",
                format!("the family `{}` does not see `{}`", family.name(), sees.name()),
                if names.is_empty() {
                    "no such key".to_owned()
                } else {
                    names.join(" or ")
                },
                "change it, or choose another `family`",
            ));
        }
        if family == SequenceFamily::Conjugate && !model.linear_transition {
            faults.push(Fault::new(
                "family",
                "`conjugate` is exact smoothing of the model's own transition, and this one is not linear with constant noise",
                "`model.transition.kind = \"linear\"`",
                "change the transition, or choose `smoothing`",
            ));
        }
        if self.recurrent_units.is_some() && (family.sees().is_empty() || self.sees == Some(Sees::Own)) {
            let reason = "this family sees its own step only, without a recurrent network";
            faults.push(Fault::unused("recurrent_units", reason, "another `family`"));
        }
        if self.sees_transition.is_some() && !matches!(family, SequenceFamily::Filtering | SequenceFamily::Smoothing) {
            let reason = match family.uses_transition() {
                true => "this family is built on the model's own transition",
                false => "this family is no chain: a step is not given the state before it",
            };
            let acts = "`family = \"smoothing\"` or `\"filtering\"`";
            faults.push(Fault::unused("sees_transition", reason, acts));
        }
        if self.initial_values.is_some()
            && matches!(family, SequenceFamily::TransitionNoise | SequenceFamily::Conjugate)
        {
            let reason = "the network of this family does not give the mean of a state";
            faults.push(Fault::unused("initial_values", reason, "another `family`"));
        }
        if self.window.is_some() && family != SequenceFamily::Deterministic {
            faults.push(Fault::unused(
                "window",
                "only a deterministic path has one",
                "`family = \"deterministic\"`",
            ));
        }
        faults
    }

    /// The fault of a deterministic path whose network is trained by a bound that needs its density.
    pub fn check_fit(&self, fit: Fit, model: &Abilities) -> Option<Fault> {
        let is_unfit = model.is_sequential() && !self.has_density() && fit != Fit::Objective;
        is_unfit.then(|| {
            Fault::new(
                "fit",
                "a deterministic path has no density, which this way of training needs",
                "`fit = \"objective\"`",
                "set it, or choose another `family`",
            )
        })
    }
}

/// Adds initial values of φ, for sequences like those of `joint`, which are the first of `train`.
pub(super) fn initial(
    recognition: Recognition,
    joint: &dyn Joint,
    (model, train): (&dyn Model, &Dataset),
    streams: &Streams,
    parameters: &mut Parameters,
) -> Result<()> {
    let sequences = crate::error::provided(joint.sequential(), "paths of states")?;
    Networks::new(recognition, sequences.as_ref())?.initial(joint, streams, parameters)?;
    match &recognition.sequence.initial_values {
        Some(values) => values.initial(model, train, parameters),
        None => Ok(()),
    }
}

/// q_φ of the sequences of `model`.
pub(super) fn apply(
    recognition: Recognition,
    model: Arc<dyn Sequential>,
    parameters: &Parameters,
) -> Result<Arc<dyn Distribution>> {
    let networks = Networks::new(recognition, model.as_ref())?;
    if networks.family == SequenceFamily::Conjugate {
        return Ok(Arc::new(Conjugate::new(&networks, model.as_ref(), parameters)?));
    }
    let proposal = Arc::new(Chain::new(networks, model.as_ref(), parameters)?);
    Ok(Arc::new(Paths { model, proposal }))
}
