//! Probability models `log p_θ(x, z)` with a latent variable z, as named terms, and how to sample from them.
//!
//! A [`Model`] is architecture alone; its parameters θ travel beside it, so one model can be asked under two θ (a stale
//! posterior). Conditioned on rows it becomes a [`Joint`]: `log p_θ(x, z)` as a function of z. That is all a posterior or
//! an objective ever sees. To add a model: one file with its keys and its `Model`, one line in [`ModelConfig`].

mod closed_form;
pub mod conditional_mixture;
pub mod gaussian;
pub mod gaussian_mixture;
pub mod latent_gaussian;
pub mod linear_gaussian;
pub mod linear_gaussian_ssm;
pub mod mixture;
mod nonlinear;
pub mod nonlinear_gaussian_ssm;
mod predictive;
mod sequential;
mod state_space;

pub use closed_form::{ClosedForm, EStep, Improvement, Sweeps};
pub use predictive::{Decoder, MixtureRows};

use crate::data::{Batch, Dataset, Table};
use crate::error::Fault;
use crate::math::kalman::{Beliefs, Sequences, System};
use crate::math::nonlinear::{Dynamics, Predictor};
use crate::math::streams::{Generator, Stream, Streams};
use crate::nn::Parameters;
use crate::{Error, Result, data::file::Asked, data::source::Widths};
use candle_core::{DType, Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which values a latent variable takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latent {
    /// One of K values. K = 1 is no latent variable at all.
    Finite(usize),
    /// A point of this many real dimensions.
    Continuous(usize),
    /// A trajectory x_1 … x_T of points with this many dimensions, one per sequence.
    Trajectory(usize),
}

/// How log p_θ(x) of a model can be computed. Each has metrics of its own name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LikelihoodKind {
    /// Exactly: a finite sum, or a Gaussian integral. `log_likelihood`
    Exact,
    /// By quadrature over the latent variable, with a known error. `log_likelihood_grid`
    Grid,
    /// By an estimate without bias of p_θ(x), from particles. `log_likelihood_estimate`
    Estimate,
    /// Not at all; only lower bounds are known. `log_likelihood_bound`
    Bound,
}

impl LikelihoodKind {
    /// The metric's name without the part before the slash.
    pub fn metric(self) -> &'static str {
        match self {
            Self::Exact => "log_likelihood",
            Self::Grid => "log_likelihood_grid",
            Self::Estimate => "log_likelihood_estimate",
            Self::Bound => "log_likelihood_bound",
        }
    }
}

/// Values of the latent variable to evaluate a joint at.
#[derive(Debug, Clone)]
pub enum Latents {
    /// Every value of a finite latent, in order: S = K.
    All,
    /// Values of a finite latent by number, u32. `[B, S]`
    Index(Tensor),
    /// Points of a continuous latent. `[B, S, Z]`
    Continuous(Tensor),
    /// S beliefs over the trajectories of all sequences. A joint is evaluated at a point, and averaged over a belief with
    /// spread, in closed form.
    Trajectories(Arc<Vec<Beliefs>>),
}

impl Latents {
    /// The same values, through which no gradient flows.
    pub fn detached(&self) -> Self {
        match self {
            Self::Continuous(z) => Self::Continuous(z.detach()),
            other => other.clone(),
        }
    }

    /// The beliefs of trajectories; an error for anything else.
    fn trajectories(&self) -> Result<&Arc<Vec<Beliefs>>> {
        match self {
            Self::Trajectories(beliefs) => Ok(beliefs),
            _ => Err(Error::Other("a trajectory was asked for another kind of value".into())),
        }
    }
}

/// `log p_θ(x, z)` for the rows x of one batch, as a function of z.
pub trait Joint {
    /// Which values its latent takes.
    fn latent(&self) -> Latent;

    /// `log p_θ(x, z_s)` in nats. `[B, S]`
    fn log_joint(&self, latents: &Latents) -> Result<Tensor>;

    /// The same, apart by term (`prior`, `likelihood`): they sum to [`Joint::log_joint`]. Each `[B, S]`, in nats.
    fn terms(&self, latents: &Latents) -> Result<Vec<(&'static str, Tensor)>>;

    /// How far [`Joint::log_prob`] may be off, where it is a sum over a grid: an estimate by row, in nats. `[B]`
    fn log_prob_error(&self) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }

    /// `log p_θ(z_s)`, in nats: the term `prior` of rows; of a trajectory the terms `initial` + `transition`, expected
    /// under the belief. `[B, S]`
    fn log_prior(&self, latents: &Latents) -> Result<Tensor> {
        let prior = self.terms(latents)?.into_iter().find(|(name, _)| *name == "prior");
        prior
            .map(|(_, term)| term)
            .ok_or_else(|| Error::Other("this model has no term `prior`".into()))
    }

    /// `log p_θ(x) = log Σ_z p_θ(x, z)` in nats; an error unless [`Model::likelihood`] is exact or by a grid. `[B]`
    fn log_prob(&self) -> Result<Tensor>;

    /// log p̂_m(x) of M independent estimates p̂_m without bias, in nats, that draw from `numbers`; an error unless
    /// [`Model::likelihood`] is an estimate. `[M][B]`
    fn log_prob_estimates(&self, _numbers: &Stream) -> Result<Vec<Vec<f64>>> {
        Err(Error::Other(
            "the likelihood of this model is not estimated by particles".into(),
        ))
    }

    /// `E[y | x]` of a conditional model. `[B, D]`
    fn mean(&self) -> Result<Tensor>;

    /// S values of the latent for each row, drawn from p_θ(z); no gradient reaches them. An error for trajectories.
    fn sample_latents(&self, _samples: usize, _generator: &mut Generator) -> Result<Latents> {
        Err(Error::Other("this model draws no latents of rows".into()))
    }

    /// One x for each row, drawn from p_θ(x|z) at `latents` (S = 1). An error for trajectories. `[B, D]`
    fn sample_observed(&self, _latents: &Latents, _generator: &mut Generator) -> Result<Tensor> {
        Err(Error::Other("this model draws no rows from latents".into()))
    }

    /// `E[x | z]` at points of a continuous latent: what its decoder says. An error for other latents. `[B, S, D]`
    fn decoded_mean(&self, _latents: &Latents) -> Result<Tensor> {
        Err(Error::Other("only a continuous latent has a decoder".into()))
    }

    /// The true posterior of a continuous latent, where it is a Gaussian in closed form.
    fn gaussian_posterior(&self) -> Result<Option<GaussianPosterior>> {
        Ok(None)
    }

    /// Beliefs over trajectories, where the latent is one and they have a closed form.
    fn trajectories(&self) -> Option<&dyn Trajectories> {
        None
    }

    /// The state space with its sequences, where the latent is a trajectory: what approximate posteriors work from.
    fn dynamics(&self) -> Option<(&dyn Dynamics, &Sequences)> {
        None
    }

    /// What is observed: the y that [`Joint::mean`] is compared with. `[B, D]`
    fn observed(&self) -> &Tensor;

    /// What is conditioned on, where anything is. `[B, C]`
    fn given(&self) -> Option<&Tensor> {
        None
    }
}

/// Exact beliefs over the latent trajectories of a batch under its own θ.
pub trait Trajectories {
    /// The posterior p(x_1 … x_T | o_1 … o_T), S = 1.
    fn smoothed(&self) -> Result<TrajectoryPosterior>;

    /// Independent beliefs p(x_t | o_1 … o_t) at every step: the past only, S = 1.
    fn filtered(&self) -> Result<TrajectoryPosterior>;

    /// S = `samples` points drawn from the posterior.
    fn sampled(&self, samples: usize, generator: &mut Generator) -> Result<TrajectoryPosterior>;
}

/// `p(z|x) = N(m, S)` of every row; all rows share the covariance.
#[derive(Debug, Clone, PartialEq)]
pub struct GaussianPosterior {
    /// m. `[B, Z]`
    pub means: Vec<f64>,
    /// S. `[Z, Z]`
    pub covariance: Vec<f64>,
}

/// S beliefs over the trajectories of B sequences.
#[derive(Debug, Clone)]
pub struct TrajectoryPosterior {
    /// The beliefs, each over all sequences. `[S]`
    pub beliefs: Vec<Beliefs>,
    /// Expected log q of each, in nats; of a point, log q. Row-major `[B, S]`
    pub log_q: Vec<f64>,
}

/// A probability model with a latent variable.
pub trait Model: Send + Sync + std::fmt::Debug {
    /// Which values its latent variable takes.
    fn latent(&self) -> Latent;

    /// How log p_θ(x) can be computed.
    fn likelihood(&self) -> LikelihoodKind {
        LikelihoodKind::Exact
    }

    /// Initial parameters for `data`, the `start`-th choice. Networks draw from the streams `initial/…`.
    fn initial(
        &self,
        data: &Dataset,
        streams: &Streams,
        start: u64,
        dtype: DType,
        device: &Device,
    ) -> Result<Parameters>;

    /// The joint of the rows of `batch` with their latents.
    fn joint<'a>(&'a self, theta: &'a Parameters, batch: &'a Batch) -> Result<Box<dyn Joint + 'a>>;

    /// θ in the terms of the field (`weights` `[K]`, `means` `[K, D]`, `covariances` `[K, D, D]`, …), in f64; empty
    /// where θ already is.
    fn natural(&self, theta: &Parameters) -> Result<BTreeMap<String, Tensor>>;

    /// Single numbers of θ that have a name and a meaning of their own, reported as metrics `parameter/NAME`.
    fn named(&self, _theta: &Parameters) -> Result<Vec<(String, f64)>> {
        Ok(Vec::new())
    }

    /// The distribution of the observed for each row of `given` (one row without): for sampling, densities, policies. An
    /// error where the latent is not finite; see [`Model::decoder`].
    fn predict(&self, _theta: &Parameters, _given: Option<&Table>) -> Result<MixtureRows> {
        Err(Error::Other(
            "this model's latent is not finite: it is no mixture of rows".into(),
        ))
    }

    /// The same for a continuous latent, point by point.
    fn decoder(&self) -> Option<&dyn Decoder> {
        None
    }

    /// θ as a linear-Gaussian state space, in the units that the model sees, where it is one.
    fn state_space(&self, _theta: &Parameters) -> Result<Option<System>> {
        Ok(None)
    }

    /// θ as a state space of any kind that predicts, in the units that the model sees, where it is one.
    fn predictor(&self, theta: &Parameters) -> Result<Option<Predictor>> {
        Ok(self.state_space(theta)?.map(Predictor::Kalman))
    }

    /// How many numbers of θ can change what the model says: mixture weights count one less than there are.
    fn free_parameters(&self, theta: &Parameters) -> usize;

    /// `p_θ(z)`, if its components are fixed places that a generator's components can be matched with. `[K]`
    fn identified_prior(&self, _theta: &Parameters) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }

    /// The closed-form M-step, where there is one.
    fn closed_form(&self) -> Option<&dyn ClosedForm> {
        None
    }
}

/// The table `[model]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ModelConfig {
    /// One Gaussian: p(x) = N(x; μ, Σ).
    Gaussian(gaussian::Gaussian),
    /// A line with Gaussian noise: p(y|x) = N(y; W x + b, Σ).
    LinearGaussian(linear_gaussian::LinearGaussian),
    /// A mixture of Gaussians: p(x) = Σ_z p(z) N(x; μ_z, Σ_z).
    GaussianMixture(gaussian_mixture::GaussianMixture),
    /// A mixture whose parts depend on what is given: p(y|x) = Σ_z p(z|x) p(y|x,z). With perceptrons it is the mixture
    /// density network; with one component, the Gaussian policy.
    ConditionalMixture(conditional_mixture::ConditionalMixture),
    /// A continuous latent variable: p(x) = ∫ p(x|z) p(z) dz, or p(y|x) = ∫ p(y|x,z) p(z|x) dz. With perceptrons it is the
    /// decoder of a variational autoencoder; linear, probabilistic principal component analysis.
    LatentGaussian(latent_gaussian::LatentGaussian),
    /// A linear-Gaussian state space: x_{t+1} = A x_t + B u_t + b + w, o_t = C x_t + D u_t + d + v, for sequences with
    /// missing values.
    LinearGaussianSsm(Box<linear_gaussian_ssm::LinearGaussianSsm>),
    /// A state space with Gaussian noise and named nonlinear means: x_{t+1} = f(x_t, t) + w, o_t = g(x_t) + v, for sequences
    /// with missing values.
    NonlinearGaussianSsm(Box<nonlinear_gaussian_ssm::NonlinearGaussianSsm>),
}

/// What a kind of model can do: the rows and columns of the table of supported combinations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// Models p(x) where nothing is given.
    pub density: bool,
    /// Models p(y|x).
    pub conditional: bool,
    /// Its latent variable can be enumerated.
    pub finite_latent: bool,
    /// log p(x) has a closed form that can be maximised.
    pub exact_likelihood: bool,
    /// p(z|x) is known in closed form.
    pub exact_posterior: bool,
    /// Has a closed-form M-step.
    pub closed_form: bool,
    /// Models p(o_1 … o_T | u_1 … u_T), its latent variable a trajectory.
    pub sequential: bool,
}

impl ModelConfig {
    /// What this model can do.
    pub fn abilities(&self) -> Abilities {
        let sequential = matches!(self, Self::LinearGaussianSsm(_) | Self::NonlinearGaussianSsm(_));
        let continuous = matches!(self, Self::LatentGaussian(_));
        let conditional = matches!(self, Self::LinearGaussian(_) | Self::ConditionalMixture(_));
        let is_integral = matches!(self, Self::LatentGaussian(config) if !config.is_linear());
        let is_exact = !is_integral && !matches!(self, Self::NonlinearGaussianSsm(_));
        Abilities {
            density: !conditional,
            conditional: conditional || continuous,
            finite_latent: !sequential && !continuous,
            exact_likelihood: is_exact,
            exact_posterior: is_exact,
            closed_form: match self {
                Self::ConditionalMixture(config) => config.has_closed_form(),
                _ => !is_integral,
            },
            sequential,
        }
    }

    /// Whether what it models are columns of 0 and 1.
    pub fn is_binary(&self) -> bool {
        matches!(self, Self::LatentGaussian(config) if config.likelihood == latent_gaussian::Likelihood::Bernoulli)
    }

    /// What it asks of observed values.
    pub fn asked(&self) -> Asked {
        match self {
            _ if self.is_binary() => Asked::Binary,
            Self::LinearGaussianSsm(config) if config.knows_emission_noise() => Asked::Anything,
            _ => Asked::Varying,
        }
    }

    /// Whether all starts of training are the same, unless the posterior is drawn.
    pub fn has_one_start(&self) -> bool {
        match self {
            Self::GaussianMixture(config) => config.fixed_means.is_some() && config.fixed_deviation.is_some(),
            Self::LinearGaussianSsm(config) => config.gives_all_initial_values(),
            Self::NonlinearGaussianSsm(config) => {
                config.initial_values == nonlinear_gaussian_ssm::InitialValues::Given || config.spread == 0.0
            }
            _ => false,
        }
    }

    /// Whether the latent variable has a single value: there is none to speak of.
    pub fn has_no_latent(&self) -> bool {
        match self {
            Self::Gaussian(_) | Self::LinearGaussian(_) => true,
            Self::GaussianMixture(config) => config.components == 1,
            Self::ConditionalMixture(config) => config.components == 1,
            _ => false,
        }
    }

    /// Whether p(z) has parameters that are learnt; of sequences, p(x_1 … x_T).
    pub fn learns_prior(&self) -> bool {
        match self {
            Self::LatentGaussian(config) => config.prior != latent_gaussian::Prior::StandardNormal,
            Self::LinearGaussianSsm(config) => config.learns_dynamics(),
            Self::NonlinearGaussianSsm(config) => config.learns_dynamics(),
            _ => !self.has_no_latent(),
        }
    }

    /// Whether any of its parameters is a weight matrix, as weight decay sees them.
    pub fn has_weight_matrices(&self) -> bool {
        matches!(
            self,
            Self::LinearGaussian(_) | Self::ConditionalMixture(_) | Self::LatentGaussian(_)
        )
    }

    /// Whether [`Model::named`] names any parameter.
    pub fn has_named_parameters(&self) -> bool {
        matches!(self, Self::NonlinearGaussianSsm(_))
    }

    /// Every fault of this table for data of these widths.
    pub fn check(&self, widths: Widths) -> Vec<Fault> {
        let mut faults = match self {
            Self::Gaussian(_) | Self::LinearGaussian(_) => Vec::new(),
            Self::GaussianMixture(config) => config.check(widths),
            Self::ConditionalMixture(config) => config.check(widths),
            Self::LatentGaussian(config) => config.check(widths),
            Self::LinearGaussianSsm(config) => return config.check(widths),
            Self::NonlinearGaussianSsm(config) => return config.check(widths),
        };
        let abilities = self.abilities();
        if !abilities.density && widths.given == 0 {
            faults.push(Fault::new(
                "kind",
                "this model is conditional, p(y|x), but the data give no x",
                "data with given columns",
                "add `given` to a file source, choose a conditional generator (`linear_gaussian`, `inverse_sinusoid`, \
                 `tree`), or a density model (`gaussian`, `gaussian_mixture`)",
            ));
        }
        if !abilities.conditional && widths.given > 0 {
            faults.push(Fault::new(
                "kind",
                "this model is a density, p(x), but the data give columns to condition on",
                "a conditional model",
                "choose `linear_gaussian` or `conditional_mixture`, or list the columns under `observed`",
            ));
        }
        faults
    }

    /// The model for `train`; its floors are relative to these rows' deviations.
    pub fn build(&self, train: &Dataset) -> Result<Box<dyn Model>> {
        Ok(Box::new(match self {
            Self::Gaussian(config) => config.build(train)?,
            Self::LinearGaussian(config) => config.build(train)?,
            Self::GaussianMixture(config) => config.build(train)?,
            Self::ConditionalMixture(config) => config.build(train)?,
            Self::LatentGaussian(config) => return Ok(Box::new(config.build(train)?)),
            Self::LinearGaussianSsm(config) => return Ok(Box::new(config.build(train)?)),
            Self::NonlinearGaussianSsm(config) => return Ok(Box::new(config.build(train)?)),
        }))
    }
}
