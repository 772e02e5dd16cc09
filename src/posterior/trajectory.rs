//! Beliefs over latent trajectories, for each kind of posterior.
//!
//! | posterior | belief over x_1 … x_T |
//! |---|---|
//! | exact | the smoother's Gaussian |
//! | sampled | S points drawn from it |
//! | hard | its mean, with weight 1 |
//! | filter | independent Gaussians p(x_t given o_1 … o_t) |
//! | extended_kalman, unscented_kalman | an approximate smoother's Gaussian |
//! | particle | S points drawn through the particles of a filter |
//!
//! Training with `hard` underestimates every noise, because it ignores the uncertainty of x. Training with `filter`
//! also ignores the correlation of x_t and x_{t+1}. The first four need a posterior in closed form; the others work
//! with every state space.

use super::{Draws, PosteriorConfig, kalman};
use crate::math::kalman::Beliefs;
use crate::math::nonlinear::GaussianFiltered;
use crate::math::streams::Generator;
use crate::model::{Joint, Latents, Trajectories, TrajectoryPosterior};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use std::sync::Arc;

/// The draws of `posterior`, in f64 on the CPU.
pub(super) fn draws(posterior: &PosteriorConfig, joint: &dyn Joint, generator: &mut Generator) -> Result<Draws> {
    let exact = || -> Result<&dyn Trajectories> {
        joint.trajectories().ok_or_else(|| {
            Error::Other(
                "this model has no posterior in closed form: expected `extended_kalman`, `unscented_kalman` or `particle`".into(),
            )
        })
    };
    let TrajectoryPosterior { beliefs, log_q } = match posterior {
        PosteriorConfig::Exact(_) => exact()?.smoothed()?,
        PosteriorConfig::Sampled(sampled) => exact()?.sampled(sampled.samples, generator)?,
        PosteriorConfig::Hard(_) => {
            let TrajectoryPosterior { beliefs, log_q } = exact()?.smoothed()?;
            TrajectoryPosterior {
                beliefs: beliefs.into_iter().map(Beliefs::without_spread).collect(),
                log_q: vec![0.0; log_q.len()],
            }
        }
        PosteriorConfig::Filter(_) => exact()?.filtered()?,
        PosteriorConfig::Particle(particle) => particle.draws(joint, generator)?,
        PosteriorConfig::ExtendedKalman(_) | PosteriorConfig::UnscentedKalman(_) => {
            let (system, sequences) = joint.dynamics().ok_or_else(no_trajectories)?;
            let approximation = posterior.approximation().ok_or_else(no_trajectories)?;
            kalman::smoothed(system, sequences, approximation)?
        }
        PosteriorConfig::Amortised(_) | PosteriorConfig::Importance(_) | PosteriorConfig::Hamiltonian(_) => {
            return Err(Error::Other("this posterior has no samples of trajectories".into()));
        }
    };
    let shape = (log_q.len() / beliefs.len(), beliefs.len()); // [B, S]
    let weights = Tensor::full(1.0 / beliefs.len() as f64, shape, &Device::Cpu)?;
    let log_q = Tensor::from_vec(log_q, shape, &Device::Cpu)?;
    Ok(Draws::new(Latents::Trajectories(Arc::new(beliefs)), weights, log_q))
}

/// `log p(o)` of each sequence by the approximate Kalman filter of the posterior. `[B]`
pub(super) fn approximate_log_prob(posterior: &PosteriorConfig, joint: &dyn Joint) -> Result<Tensor> {
    let approximation = posterior
        .approximation()
        .ok_or_else(|| Error::Other("this posterior does not approximate the likelihood".into()))?;
    let (system, sequences) = joint.dynamics().ok_or_else(no_trajectories)?;
    let filtered = GaussianFiltered::new(system, sequences, approximation)?;
    Ok(Tensor::new(filtered.log_likelihood(), &Device::Cpu)?)
}

pub(super) fn no_trajectories() -> Error {
    Error::Other("this posterior is for trajectories, and the model has none".into())
}
