//! A state space of neural networks, for sequences with inputs and missing values: p(x_1), p(x_{t+1} | x_t, u_t) and
//! p(o_t | x_t), each a diagonal Gaussian (or Bernoulli variables for o) whose parameters are functions of its condition
//! (Krishnan, Shalit & Sontag 2017). This file is its table in an experiment file.
//!
//! The last columns of o can be rewards r_t with p(r_t | x_t, u_t), whose networks see the input of their step, too.
//! Every function is linear or a network; every part of the linear ones, and every constant variance, can be fixed, entry
//! by entry. A model that is linear everywhere, with constant noise, has an exact likelihood by the Kalman filter; any
//! other has estimates by particle filters.

mod conditioned;
mod convolutions;
mod decoder;
mod density;
mod dynamics;
mod emission;
mod entries;
mod filter;
mod formula;
mod initial;
mod joint;
mod keys;
mod linear;
mod model;
mod principal;
mod recursion;
mod reward;
mod transition;

pub use keys::{
    EmissionConvolutions, EmissionFunction, EmissionNoise, EmissionPerceptron, FloorKeys, FormulaKeys, FourierKeys,
    GatedKeys, Likelihood, LinearEmission, LinearTransition, LocallyLinearKeys, NoiseForm, PerceptronKeys,
    RecurrentKeys, RewardKeys, SkipKeys, TransitionFunction,
};

use super::kind::{Abilities, LatentKind, ModelKind};
use super::linear_gaussian_ssm::{MatrixKeys, VectorKeys};
use super::{LikelihoodKind, Model};
use crate::Result;
use crate::data::file::Asked;
use crate::data::{Dataset, source::Widths};
use crate::error::Fault;
use crate::kind::{Declared, Example};
use model::NeuralStateSpace;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys of `kind = "neural_ssm"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NeuralSsm {
    /// Dimensions of the latent state, X.
    #[schemars(range(min = 1, max = 4096))]
    pub states: usize,
    /// m₁, `[X]`: `fixed` values are not learnt, except entries `nan`; `start` is the initial value, 0 without it.
    pub initial_mean: VectorKeys,
    /// The diagonal of P₁, `[X]`: `fixed` and `start`, which is 1 without this key.
    pub initial_variances: VectorKeys,
    /// The mean of p(x_{t+1} | x_t, u_t).
    pub transition: TransitionFunction,
    /// Whether the standard deviations of the transition depend on the state.
    pub transition_noise: NoiseForm,
    /// The constant variances of the transition, `[X]`: `fixed` and `start`, which is 0.1 without this key.
    pub transition_variances: VectorKeys,
    /// The mean (or logits) of p(o_t | x_t).
    pub emission: EmissionFunction,
    /// The form of p(o_t | x_t).
    pub likelihood: Likelihood,
    /// The standard deviations of a Gaussian emission.
    pub emission_noise: EmissionNoise,
    /// The constant variances of the emission, `[O]`: `fixed` and `start`, which is a quarter of the variance of the
    /// training steps without this key; of images, a quarter of the mean variance of their pixels. With spherical noise it is
    /// one number, relative to the variances of the columns.
    pub emission_variances: VectorKeys,
    /// K: the networks of p(o|x) and of q read and write o, or each frame of it, in an orthonormal basis of its K leading
    /// principal components. The rest of o counts in the likelihood, which stays that of the whole observation; so the noise
    /// must be spherical. Without this key they read and write every column.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4096))]
    pub principal_components: Option<usize>,
    /// Rewards: the last observed columns are p(r_t | x_t, u_t), Gaussians whose means are a network of the state and the
    /// input of the same step. The networks of q do not see them: the reward of a step is known only after its action. Without
    /// this key every column is a function of the state alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reward: Option<RewardKeys>,
    /// The smallest standard deviation of the states.
    #[schemars(range(min = 1e-9, max = 1e3))]
    pub transition_deviation_floor: f64,
    /// The smallest standard deviation of the observations, relative to the data's; of images, relative to the root mean
    /// square over their pixels; of principal components, relative to that of the coefficients.
    #[schemars(range(min = 1e-9, max = 1e3))]
    pub emission_deviation_floor: f64,
    /// A floor that is higher at first and falls to `emission_deviation_floor`. Without this key it is constant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emission_deviation_floor_schedule: Option<FloorKeys>,
    /// Particles of the filter that estimates the log-likelihood in evaluations, if it has no closed form.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub likelihood_particles: usize,
}

impl Default for NeuralSsm {
    fn default() -> Self {
        Self {
            states: 2,
            initial_mean: VectorKeys::default(),
            initial_variances: VectorKeys::default(),
            transition: TransitionFunction::Perceptron(PerceptronKeys::default()),
            transition_noise: NoiseForm::Constant,
            transition_variances: VectorKeys::default(),
            emission: EmissionFunction::Perceptron(EmissionPerceptron::default()),
            likelihood: Likelihood::Gaussian,
            emission_noise: EmissionNoise::Constant,
            emission_variances: VectorKeys::default(),
            principal_components: None,
            reward: None,
            transition_deviation_floor: 1e-3,
            emission_deviation_floor: 1e-3,
            emission_deviation_floor_schedule: None,
            likelihood_particles: 128,
        }
    }
}

impl NeuralSsm {
    /// Whether the model is a linear-Gaussian state space, whose likelihood and posterior are exact.
    pub fn is_linear(&self) -> bool {
        matches!(self.transition, TransitionFunction::Linear(_))
            && self.has_linear_emission()
            && self.transition_noise == NoiseForm::Constant
            && self.emission_noise != EmissionNoise::StateDependent
    }

    /// Whether p(o_t | x_t) is a linear Gaussian.
    fn has_linear_emission(&self) -> bool {
        matches!(self.emission, EmissionFunction::Linear(_))
            && self.likelihood == Likelihood::Gaussian
            && self.reward.is_none()
            && self.principal_components.is_none()
    }

    /// Whether p(x_{t+1} | x_t, u_t) is linear with constant noise.
    fn has_linear_transition(&self) -> bool {
        self.transition_noise == NoiseForm::Constant
            && match &self.transition {
                TransitionFunction::Linear(_) => true,
                TransitionFunction::Perceptron(keys) => keys.hidden.is_empty(),
                _ => false,
            }
    }

    /// Whether it is a state space with constant Gaussian noise, whose state is x alone.
    fn is_state_space(&self) -> bool {
        self.transition_noise == NoiseForm::Constant
            && self.emission_noise != EmissionNoise::StateDependent
            && self.principal_components.is_none()
            && self.likelihood == Likelihood::Gaussian
            && !matches!(self.transition, TransitionFunction::Recurrent(_))
    }

    /// Keys that have no effect beside the others.
    fn unused(&self) -> Vec<Fault> {
        let defaults = Self::default();
        let is_given = |keys: &VectorKeys| *keys != VectorKeys::default();
        let is_bernoulli = self.likelihood == Likelihood::Bernoulli;
        let is_output = self.emission_noise == EmissionNoise::StateDependent;
        let network = "the variances are outputs of a network";
        let binary = "Bernoulli variables have no variance of their own";
        let rows = [
            (
                "transition_variances",
                is_given(&self.transition_variances) && self.transition_noise == NoiseForm::StateDependent,
                network,
                "`transition_noise = \"constant\"`",
            ),
            (
                "emission_variances",
                is_given(&self.emission_variances) && is_bernoulli,
                binary,
                "`likelihood = \"gaussian\"`",
            ),
            (
                "emission_variances",
                is_given(&self.emission_variances) && is_output && !is_bernoulli,
                network,
                "`emission_noise = \"constant\"`",
            ),
            (
                "emission_noise",
                self.emission_noise != defaults.emission_noise && is_bernoulli,
                binary,
                "`likelihood = \"gaussian\"`",
            ),
            (
                "emission_deviation_floor",
                self.emission_deviation_floor != defaults.emission_deviation_floor && is_bernoulli,
                binary,
                "`likelihood = \"gaussian\"`",
            ),
            (
                "emission_deviation_floor_schedule",
                self.emission_deviation_floor_schedule.is_some() && is_bernoulli,
                binary,
                "`likelihood = \"gaussian\"`",
            ),
            (
                "emission_deviation_floor_schedule",
                self.emission_deviation_floor_schedule.is_some() && self.emission_variances.fixed.is_some(),
                "the variances are fixed",
                "`emission_variances` without `fixed`",
            ),
            (
                "likelihood_particles",
                self.likelihood_particles != defaults.likelihood_particles && self.is_linear(),
                "this model is linear, so its likelihood is exact",
                "a network for the transition or the emission",
            ),
        ];
        let unused = rows.into_iter().filter(|(_, is_unused, ..)| *is_unused);
        unused
            .map(|(key, _, reason, acts)| Fault::unused(key, reason, acts))
            .collect()
    }

    /// Whether any parameter of p(x_1 … x_T) is learnt.
    fn learns_dynamics(&self) -> bool {
        let is_learnt = |keys: &VectorKeys| {
            let fixed = keys.fixed.as_ref();
            fixed.is_none_or(|fixed| fixed.iter().any(|v| v.0.is_nan()))
        };
        let matrix = |keys: &MatrixKeys| {
            let fixed = keys.fixed.as_ref();
            fixed.is_none_or(|rows| rows.iter().flatten().any(|v| v.0.is_nan()))
        };
        is_learnt(&self.initial_mean)
            || is_learnt(&self.initial_variances)
            || match &self.transition {
                TransitionFunction::Linear(keys) => {
                    matrix(&keys.matrix) || is_learnt(&keys.offset) || is_learnt(&self.transition_variances)
                }
                TransitionFunction::Formula(keys) => {
                    is_learnt(&self.transition_variances) || (!keys.parameters.is_empty() && is_learnt(&keys.values))
                }
                _ => true,
            }
    }

    /// Whether any function is a network.
    fn has_network(&self) -> bool {
        let of_transition = matches!(
            self.transition,
            TransitionFunction::Linear(_) | TransitionFunction::Formula(_)
        );
        let of_emission = matches!(
            self.emission,
            EmissionFunction::Perceptron(_) | EmissionFunction::Convolutional(_)
        );
        !of_transition || self.reward.is_some() || of_emission
    }
}

impl Declared for NeuralSsm {
    const NAME: &'static str = "neural_ssm";
    const SUMMARY: &'static str = "A state space whose transition and emission are linear or networks, with diagonal Gaussian noise (or binary \
         observations), for sequences with inputs and missing values.";
    const EQUATION: &'static str =
        "log p(o, x | u) = log N(x_1; m₁, P₁) + Σ_t log N(x_{t+1}; f(x_t, u_t), Q(x_t, u_t)) + Σ_t log p(o_t | x_t)";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"lgssm\"\nlength = 20\ntrain = 400",
        model: "kind = \"neural_ssm\"",
        posterior: "kind = \"amortised\"\nhidden = [16]\nrecurrent_units = 16",
        objective: "kind = \"elbo\"",
        ..Example::USUAL
    };
}

impl ModelKind for NeuralSsm {
    fn abilities(&self) -> Abilities {
        let asked = match self.likelihood {
            Likelihood::Bernoulli => Asked::Binary,
            Likelihood::Gaussian => Asked::Anything,
        };
        Abilities {
            density: true,
            states: Some(self.states),
            exact_posterior: self.is_linear(),
            state_space: self.is_state_space(),
            paths: true,
            linear_transition: self.has_linear_transition(),
            linear_emission: self.has_linear_emission(),
            rewards: self.reward.as_ref().map_or(0, |reward| reward.columns),
            learns_prior: self.learns_dynamics(),
            has_weight_matrices: self.has_network(),
            ..Abilities::none(LatentKind::Trajectory, asked)
        }
    }

    fn likelihood(&self, _is_given: bool) -> LikelihoodKind {
        match self.is_linear() {
            true => LikelihoodKind::Exact,
            false => LikelihoodKind::Estimate,
        }
    }

    fn check(&self, widths: Widths) -> Vec<Fault> {
        let mut faults = self.unused();
        faults.extend(NeuralStateSpace::settings(self, widths).err());
        faults
    }

    fn build(&self, train: &Dataset) -> Result<Box<dyn Model>> {
        Ok(Box::new(NeuralStateSpace::new(self.clone(), train)?))
    }
}
