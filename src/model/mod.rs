//! Probability models `log p_θ(x, z)` with a latent variable z, as named terms, and how to sample from them.
//!
//! A [`Model`] is the architecture only; its parameters θ are passed beside it, so one model can be evaluated under two
//! θ (a stale posterior). Conditioned on rows it becomes a [`Joint`]: `log p_θ(x, z)` as a function of z. Posteriors
//! and objectives see only this. To add a model: one file with its keys and its `Model`, one line in [`ModelConfig`].

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

/// The values of a latent variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latent {
    /// One of K values. K = 1 means no latent variable.
    Finite(usize),
    /// A point of this many real dimensions.
    Continuous(usize),
    /// A trajectory x_1 … x_T of points with this many dimensions, one per sequence.
    Trajectory(usize),
}

/// How log p_θ(x) of a model can be computed. Each kind has its own metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LikelihoodKind {
    /// Exactly: a finite sum, or a Gaussian integral. `log_likelihood`
    Exact,
    /// By quadrature over the latent variable, with a known error. `log_likelihood_grid`
    Grid,
    /// By an unbiased particle estimate of p_θ(x). `log_likelihood_estimate`
    Estimate,
    /// Only lower bounds are available. `log_likelihood_bound`
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
    /// S beliefs over the trajectories of all sequences. A joint is evaluated at a belief that is a point, and averaged
    /// in closed form over others.
    Trajectories(Arc<Vec<Beliefs>>),
}

impl Latents {
    /// The same values, detached from the graph.
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
            _ => Err(Error::Other(
                "expected beliefs over trajectories, got another kind of value".into(),
            )),
        }
    }
}

/// `log p_θ(x, z)` for the rows x of one batch, as a function of z.
pub trait Joint {
    /// The values of its latent.
    fn latent(&self) -> Latent;

    /// `log p_θ(x, z_s)` in nats. `[B, S]`
    fn log_joint(&self, latents: &Latents) -> Result<Tensor>;

    /// Its terms (`prior`, `likelihood`), which sum to [`Joint::log_joint`]. Each `[B, S]`, in nats.
    fn terms(&self, latents: &Latents) -> Result<Vec<(&'static str, Tensor)>>;

    /// The estimated error of [`Joint::log_prob`] by row, in nats, if it is a sum over a grid. `[B]`
    fn log_prob_error(&self) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }

    /// `log p_θ(z_s)`, in nats: the term `prior` for rows; for trajectories the terms `initial` + `transition`,
    /// expected under the belief. `[B, S]`
    fn log_prior(&self, latents: &Latents) -> Result<Tensor> {
        let prior = self.terms(latents)?.into_iter().find(|(name, _)| *name == "prior");
        prior
            .map(|(_, term)| term)
            .ok_or_else(|| Error::Other("this model has no term `prior`".into()))
    }

    /// `log p_θ(x) = log Σ_z p_θ(x, z)` in nats; an error unless [`Model::likelihood`] is exact or by a grid. `[B]`
    fn log_prob(&self) -> Result<Tensor>;

    /// log p̂_m(x) of M independent unbiased estimates p̂_m, in nats, drawn from `numbers`; an error unless
    /// [`Model::likelihood`] is an estimate. `[M][B]`
    fn log_prob_estimates(&self, _numbers: &Stream) -> Result<Vec<Vec<f64>>> {
        Err(Error::Other(
            "the likelihood of this model has no particle estimate".into(),
        ))
    }

    /// `E[y | x]` of a conditional model. `[B, D]`
    fn mean(&self) -> Result<Tensor>;

    /// S values of the latent for each row, drawn from p_θ(z), without gradients. An error for trajectories.
    fn sample_latents(&self, _samples: usize, _generator: &mut Generator) -> Result<Latents> {
        Err(Error::Other("this model does not draw latents of rows".into()))
    }

    /// One x for each row, drawn from p_θ(x|z) at `latents` (S = 1). An error for trajectories. `[B, D]`
    fn sample_observed(&self, _latents: &Latents, _generator: &mut Generator) -> Result<Tensor> {
        Err(Error::Other("this model does not draw rows from latents".into()))
    }

    /// `E[x | z]` at points of a continuous latent, by its decoder. An error for other latents. `[B, S, D]`
    fn decoded_mean(&self, _latents: &Latents) -> Result<Tensor> {
        Err(Error::Other("only a continuous latent has a decoder".into()))
    }

    /// The true posterior of a continuous latent, if it is a Gaussian in closed form.
    fn gaussian_posterior(&self) -> Result<Option<GaussianPosterior>> {
        Ok(None)
    }

    /// Beliefs over trajectories, if the latent is a trajectory and they have a closed form.
    fn trajectories(&self) -> Option<&dyn Trajectories> {
        None
    }

    /// The state space with its sequences, if the latent is a trajectory; approximate posteriors use it.
    fn dynamics(&self) -> Option<(&dyn Dynamics, &Sequences)> {
        None
    }

    /// The observed columns: the y that [`Joint::mean`] is compared with. `[B, D]`
    fn observed(&self) -> &Tensor;

    /// The given columns, if there are any. `[B, C]`
    fn given(&self) -> Option<&Tensor> {
        None
    }
}

/// Exact beliefs over the latent trajectories of a batch under its own θ.
pub trait Trajectories {
    /// The posterior p(x_1 … x_T | o_1 … o_T), S = 1.
    fn smoothed(&self) -> Result<TrajectoryPosterior>;

    /// Independent beliefs p(x_t | o_1 … o_t) at every step, S = 1.
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
    /// Expected log q of each, in nats; log q for a point. Row-major `[B, S]`
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

    /// Initial parameters for `data`, for the start number `start`. Networks draw from the streams `initial/…`.
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

    /// θ in standard terms (`weights` `[K]`, `means` `[K, D]`, `covariances` `[K, D, D]`, …), in f64; empty if θ is
    /// already in these terms.
    fn natural(&self, theta: &Parameters) -> Result<BTreeMap<String, Tensor>>;

    /// Scalars of θ with a name, reported as metrics `parameter/NAME`.
    fn named(&self, _theta: &Parameters) -> Result<Vec<(String, f64)>> {
        Ok(Vec::new())
    }

    /// The distribution of the observed columns for each row of `given` (one row without `given`), for sampling,
    /// densities and policies. An error unless the latent is finite; see [`Model::decoder`].
    fn predict(&self, _theta: &Parameters, _given: Option<&Table>) -> Result<MixtureRows> {
        Err(Error::Other(
            "this model's latent is not finite, so it is not a mixture".into(),
        ))
    }

    /// The same for a continuous latent, point by point.
    fn decoder(&self) -> Option<&dyn Decoder> {
        None
    }

    /// θ as a linear-Gaussian state space, in the units that the model sees, if it is one.
    fn state_space(&self, _theta: &Parameters) -> Result<Option<System>> {
        Ok(None)
    }

    /// θ as a state space that can predict, in the units that the model sees, if it is one.
    fn predictor(&self, theta: &Parameters) -> Result<Option<Predictor>> {
        Ok(self.state_space(theta)?.map(Predictor::Kalman))
    }

    /// The number of free parameters; K mixture weights count as K − 1.
    fn free_parameters(&self, theta: &Parameters) -> usize;

    /// `p_θ(z)`, if its components are fixed, so that they can be matched with a generator's. `[K]`
    fn identified_prior(&self, _theta: &Parameters) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }

    /// The closed-form M-step, if there is one.
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
    /// A continuous latent variable: p(x) = ∫ p(x|z) p(z) dz, or p(y|x) = ∫ p(y|x,z) p(z|x) dz. With perceptrons it is
    /// the decoder of a variational autoencoder; with linear functions it is probabilistic principal component
    /// analysis.
    LatentGaussian(latent_gaussian::LatentGaussian),
    /// A linear-Gaussian state space: x_{t+1} = A x_t + B u_t + b + w, o_t = C x_t + D u_t + d + v, for sequences with
    /// missing values.
    LinearGaussianSsm(Box<linear_gaussian_ssm::LinearGaussianSsm>),
    /// A state space with Gaussian noise and named nonlinear means: x_{t+1} = f(x_t, t) + w, o_t = g(x_t) + v, for
    /// sequences with missing values.
    NonlinearGaussianSsm(Box<nonlinear_gaussian_ssm::NonlinearGaussianSsm>),
}

/// The abilities of a kind of model, which decide the supported combinations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// Models p(x), without given columns.
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
    /// Models p(o_1 … o_T | u_1 … u_T) with a latent trajectory.
    pub sequential: bool,
}

impl ModelConfig {
    /// The abilities of this model.
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

    /// Whether it models columns of 0 and 1.
    pub fn is_binary(&self) -> bool {
        matches!(self, Self::LatentGaussian(config) if config.likelihood == latent_gaussian::Likelihood::Bernoulli)
    }

    /// Its requirement on observed values.
    pub fn asked(&self) -> Asked {
        match self {
            _ if self.is_binary() => Asked::Binary,
            Self::LinearGaussianSsm(config) if config.knows_emission_noise() => Asked::Anything,
            _ => Asked::Varying,
        }
    }

    /// Whether all starts of EM give the same result, unless the posterior is sampled.
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

    /// Whether the model has no latent variable: it has a single value.
    pub fn has_no_latent(&self) -> bool {
        match self {
            Self::Gaussian(_) | Self::LinearGaussian(_) => true,
            Self::GaussianMixture(config) => config.components == 1,
            Self::ConditionalMixture(config) => config.components == 1,
            _ => false,
        }
    }

    /// Whether p(z) has learnt parameters; for sequences, p(x_1 … x_T).
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

    /// The faults of this table for data with these numbers of columns.
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

    /// The model for `train`; its floors are relative to the standard deviations of these rows.
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
