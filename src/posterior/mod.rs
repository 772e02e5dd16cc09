//! Which latents z to consider, and with what weight, given x.
//!
//! A posterior sees a [`Joint`] and hands over weighted [`Draws`]. It can be stale (`refresh_every`: it looks through an
//! older θ) and tempered (`temperature`: weights ∝ p(z|x)^{1/T}); both are options of every kind here. To add a posterior:
//! one file, one line in [`PosteriorConfig`]. A finite latent is enumerated; over a trajectory there are beliefs, in
//! closed form or approximate (`trajectory`).

mod exact;
mod gaussian;
mod hard;
mod particle;
mod sampled;
mod schedule;
mod trajectory;

pub use schedule::Schedule;

use crate::math::nonlinear::Approximation;
use crate::math::streams::Generator;
use crate::model::{Joint, Latents};
use crate::{Error, Result, error::Fault, nn};
use candle_core::{DType, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Weighted guesses of the latent of each row. Weights are constants for the gradient.
#[derive(Debug, Clone)]
pub struct Draws {
    /// The guesses.
    pub latents: Latents,
    /// Weights that sum to 1 over S. `[B, S]`
    pub weights: Tensor,
    /// log q of each guess, in nats. `[B, S]`
    pub log_q: Tensor,
}

impl Draws {
    /// How much of each row every one of `components` values got: draws of the same value added up. `[B, K]`, row-major.
    pub fn responsibilities(&self, components: usize) -> Result<Vec<f64>> {
        let weights = self.weights.to_dtype(DType::F64)?;
        match &self.latents {
            Latents::All => Ok(weights.flatten_all()?.to_vec1()?),
            Latents::Index(index) => {
                let (rows, draws) = index.dims2()?;
                let (index, weights) = (
                    index.flatten_all()?.to_vec1::<u32>()?,
                    weights.flatten_all()?.to_vec1::<f64>()?,
                );
                let mut sums = vec![0.0; rows * components];
                for (at, (z, weight)) in index.iter().zip(&weights).enumerate() {
                    sums[at / draws * components + *z as usize] += weight;
                }
                Ok(sums)
            }
            Latents::Trajectories(_) => Err(Error::Other("trajectories have no responsibilities".into())),
        }
    }

    /// Σ_b Σ_s w_s log q(z_s), in nats.
    pub fn total_log_q(&self) -> Result<f64> {
        let sum = (&self.weights * &self.log_q)?.sum_all()?;
        Ok(sum.to_dtype(DType::F64)?.to_scalar()?)
    }
}

/// How a posterior turns `log q(z|x)` of every value into draws.
trait FromFinite {
    /// `log_q` is normalised over K and carries no gradient. `[B, K]`
    fn draws(&self, log_q: &Tensor, generator: &mut Generator) -> Result<Draws>;
}

/// Options that every posterior has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Common {
    /// Optimiser steps (or sweeps) between refreshes: between them the guesses come from the θ of the last refresh. 1 is
    /// always fresh; large values make gradient training an EM with many M-steps.
    #[schemars(range(min = 1))]
    pub refresh_every: u64,
    /// Weights are ∝ p(z|x)^(1/temperature): above 1 softer, below 1 harder, towards 0 like `hard`. A number, or
    /// `{ from, to, steps }` for a geometric path.
    pub temperature: Schedule,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            refresh_every: 1,
            temperature: Schedule::Constant(1.0),
        }
    }
}

/// Keys of `kind = "exact"` and `kind = "hard"`: the common ones.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Plain {
    /// Options that every posterior has.
    #[serde(flatten)]
    pub common: Common,
}

/// The table `[posterior]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PosteriorConfig {
    /// The true posterior of the model: every z, weighted by p(z|x).
    Exact(Plain),
    /// Draws from the true posterior, equally weighted: an unbiased guess.
    Sampled(sampled::Sampled),
    /// The single most likely z, as if it were known (k-means takes this shortcut).
    Hard(Plain),
    /// Of a trajectory, what the past alone says at each step: beliefs p(x_t | o_1 … o_t), independent of each other.
    Filter(Plain),
    /// Of a trajectory, the Gaussian smoother of the model linearised at its own means (extended Kalman filter).
    ExtendedKalman(Plain),
    /// Of a trajectory, the Gaussian smoother that follows sigma points through the model (unscented Kalman filter).
    UnscentedKalman(gaussian::UnscentedKalman),
    /// Of a trajectory, draws by particles: a bootstrap filter forwards, a simulation backwards.
    Particle(particle::Particle),
}

impl Default for PosteriorConfig {
    fn default() -> Self {
        Self::Exact(Plain::default())
    }
}

impl PosteriorConfig {
    /// The options that every posterior has.
    pub fn common(&self) -> &Common {
        match self {
            Self::Exact(plain) | Self::Hard(plain) | Self::Filter(plain) | Self::ExtendedKalman(plain) => &plain.common,
            Self::UnscentedKalman(unscented) => &unscented.common,
            Self::Particle(particle) => &particle.common,
            Self::Sampled(sampled) => &sampled.common,
        }
    }

    /// Whether this is the true posterior of the current θ, as is.
    pub fn is_exact_and_fresh(&self) -> bool {
        matches!(self, Self::Exact(_)) && *self.common() == Common::default()
    }

    /// Every fault of this table.
    pub fn check(&self) -> Vec<Fault> {
        let mut faults = self.common().temperature.check("temperature");
        if let Self::UnscentedKalman(unscented) = self {
            faults.extend(unscented.check());
        }
        faults
    }

    /// How it pushes Gaussians through a model, where it is an approximate Kalman smoother.
    fn approximation(&self) -> Option<Approximation> {
        match self {
            Self::ExtendedKalman(_) => Some(Approximation::Linearised),
            Self::UnscentedKalman(unscented) => Some(unscented.approximation()),
            _ => None,
        }
    }

    /// Whether it has an approximation of `log p(x)` of its own: as an approximate Kalman smoother.
    pub fn approximates_log_prob(&self) -> bool {
        self.approximation().is_some()
    }

    /// The posterior's own approximation of `log p(x)`, where it has one, in nats. `[B]`
    pub fn approximate_log_prob(&self, joint: &dyn Joint) -> Result<Tensor> {
        trajectory::approximate_log_prob(self, joint)
    }

    /// Guesses for the rows of `joint`, at `step` (for the temperature), drawn by `generator`. Where the posterior is
    /// stale, `joint` is conditioned on the older θ.
    pub fn draws(&self, joint: &dyn Joint, step: u64, generator: &mut Generator) -> Result<Draws> {
        if joint.dynamics().is_some() {
            return trajectory::draws(self, joint, generator);
        }
        let log_joint = joint.log_joint(&Latents::All)?.detach();
        let temperature = self.common().temperature.at(step);
        let log_q = match temperature {
            1.0 => nn::log_softmax(&log_joint)?,
            t => nn::log_softmax(&(log_joint / t)?)?,
        };
        let posterior: &dyn FromFinite = match self {
            Self::Exact(_) => &exact::Exact,
            Self::Sampled(sampled) => sampled,
            Self::Hard(_) => &hard::Hard,
            Self::Filter(_) | Self::ExtendedKalman(_) | Self::UnscentedKalman(_) | Self::Particle(_) => {
                return Err(trajectory::no_trajectories());
            }
        };
        posterior.draws(&log_q, generator)
    }
}
