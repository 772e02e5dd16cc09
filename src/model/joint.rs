//! `log p_θ(x, z)` of the rows of one batch, as a function of z, and what else a joint can do.
//!
//! Every [`Joint`] has its log-density and the terms of it. Everything else is a capability, which it hands out or does not
//! have. A posterior or an objective declares which it needs ([`super::Need`]), so that a combination without it is refused
//! before anything runs; [`provided`](crate::error::provided) is the answer to a caller that skipped this check.

use super::Sequential;
use crate::error::provided;
use crate::math::kalman::{Beliefs, Sequences};
use crate::math::nonlinear::Dynamics;
use crate::math::streams::{Generator, Stream};
use crate::{Error, Result};
use candle_core::Tensor;
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
    /// Paths x_1 … x_T of every sequence, padded to the longest, with gradients. `[B, S, T, X]`
    Paths(Tensor),
    /// S beliefs over the trajectories of all sequences. A joint is evaluated at a belief that is a point, and averaged
    /// in closed form over others.
    Trajectories(Arc<Vec<Beliefs>>),
}

impl Latents {
    /// The same values, detached from the graph.
    pub fn detached(&self) -> Self {
        match self {
            Self::Continuous(z) => Self::Continuous(z.detach()),
            Self::Paths(x) => Self::Paths(x.detach()),
            other => other.clone(),
        }
    }

    /// The beliefs of trajectories; an error for anything else.
    pub(super) fn trajectories(&self) -> Result<&Arc<Vec<Beliefs>>> {
        match self {
            Self::Trajectories(beliefs) => Ok(beliefs),
            other => Err(other.unexpected("trajectories")),
        }
    }

    /// The error of a joint or a distribution that has latents of another kind: `expected` names it.
    pub fn unexpected(&self, expected: &'static str) -> Error {
        let found = match self {
            Self::All => "all values of a finite latent",
            Self::Index(_) => "values of a finite latent",
            Self::Continuous(_) => "points of a continuous latent",
            Self::Paths(_) => "paths of states",
            Self::Trajectories(_) => "trajectories",
        };
        Error::Latents { expected, found }
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

    /// `log p_θ(z_s)`, in nats: the term `prior` for rows; for trajectories the terms `initial` + `transition`,
    /// expected under the belief. `[B, S]`
    fn log_prior(&self, latents: &Latents) -> Result<Tensor>;

    /// The observed columns, `[B, D]`; of sequences, all their steps `[T, D]`.
    fn observed(&self) -> &Tensor;

    /// The given columns, if there are any. `[B, C]`
    fn given(&self) -> Option<&Tensor>;

    /// log p_θ(x), exactly or by a grid.
    fn marginal(&self) -> Option<&dyn Marginal> {
        None
    }

    /// Estimates of log p_θ(x).
    fn estimates(&self) -> Option<&dyn Estimates> {
        None
    }

    /// E[y|x].
    fn regression(&self) -> Option<&dyn Regression> {
        None
    }

    /// Samples of z and of x.
    fn ancestral(&self) -> Option<&dyn Ancestral> {
        None
    }

    /// E[x|z] of a continuous latent.
    fn decoding(&self) -> Option<&dyn Decoding> {
        None
    }

    /// The true posterior p_θ(z|x).
    fn exact_posterior(&self) -> Option<ExactPosterior<'_>> {
        None
    }

    /// The state space with its sequences, if the latent is a trajectory.
    fn state_space(&self) -> Option<StateSpaceOf<'_>> {
        None
    }

    /// The state space as tensors with gradients, if the joint is evaluated at [`Latents::Paths`].
    fn sequential(&self) -> Option<Arc<dyn Sequential>> {
        None
    }
}

/// Capabilities for callers that know that the joint has them.
///
/// # Errors
/// [`Error::Lacking`] if it has not.
impl dyn Joint + '_ {
    /// [`Marginal::log_prob`]
    pub fn log_prob(&self) -> Result<Tensor> {
        provided(self.marginal(), "log p(x)")?.log_prob()
    }

    /// [`Regression::mean`]
    pub fn mean(&self) -> Result<Tensor> {
        provided(self.regression(), "E[y|x]")?.mean()
    }

    /// [`Ancestral::sample_latents`]
    pub fn sample_latents(&self, samples: usize, generator: &mut Generator) -> Result<Latents> {
        provided(self.ancestral(), "samples of z")?.sample_latents(samples, generator)
    }

    /// [`Ancestral::sample_observed`]
    pub fn sample_observed(&self, latents: &Latents, generator: &mut Generator) -> Result<Tensor> {
        provided(self.ancestral(), "samples of x")?.sample_observed(latents, generator)
    }

    /// [`Decoding::decoded_mean`]
    pub fn decoded_mean(&self, latents: &Latents) -> Result<Tensor> {
        provided(self.decoding(), "E[x|z]")?.decoded_mean(latents)
    }
}

/// The capability to compute log p_θ(x).
pub trait Marginal {
    /// `log p_θ(x) = log Σ_z p_θ(x, z)` in nats. `[B]`
    fn log_prob(&self) -> Result<Tensor>;

    /// The estimated error of [`Marginal::log_prob`] by row, in nats, if it is a sum over a grid. `[B]`
    fn log_prob_error(&self) -> Result<Option<Vec<f64>>>;
}

/// The capability to estimate p_θ(x) without bias.
pub trait Estimates {
    /// log p̂_m(x) of M independent unbiased estimates p̂_m, in nats, drawn from `numbers`. `[M][B]`
    fn log_prob_estimates(&self, numbers: &Stream) -> Result<Vec<Vec<f64>>>;
}

/// The capability to predict y by its mean.
pub trait Regression {
    /// `E[y | x]`. `[B, D]`
    fn mean(&self) -> Result<Tensor>;
}

/// The capability of ancestral sampling: z from p(z), then x from p(x|z). No gradients.
pub trait Ancestral {
    /// S values of the latent for each row, drawn from p_θ(z).
    fn sample_latents(&self, samples: usize, generator: &mut Generator) -> Result<Latents>;

    /// One x for each row, drawn from p_θ(x|z) at `latents` (S = 1). `[B, D]`
    fn sample_observed(&self, latents: &Latents, generator: &mut Generator) -> Result<Tensor>;
}

/// The capability to decode points of a continuous latent.
pub trait Decoding {
    /// `E[x | z]` at points of z `[B, S, D]`, or of every step of paths `[B, S, T, D]`, in the units that the model sees; whole
    /// observations where it takes them reduced.
    fn decoded_mean(&self, latents: &Latents) -> Result<Tensor>;
}

/// The true posterior, by the kind of latent.
pub enum ExactPosterior<'a> {
    /// Of a finite latent: by enumeration of [`Latents::All`].
    Enumerable,
    /// A Gaussian of a continuous latent.
    Gaussian(&'a dyn GaussianLatent),
    /// Beliefs over trajectories.
    Trajectories(&'a dyn Trajectories),
}

/// A continuous latent whose posterior is a Gaussian.
pub trait GaussianLatent {
    /// p(z|x) of every row.
    fn posterior(&self) -> Result<GaussianPosterior>;
}

/// A state space of any kind under one θ, with the sequences of the batch.
#[derive(Clone, Copy)]
pub struct StateSpaceOf<'a> {
    /// p(x_1), p(x_{t+1}|x_t, u_t), p(o_t|x_t).
    pub dynamics: &'a dyn Dynamics,
    /// o and u.
    pub sequences: &'a Sequences,
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
