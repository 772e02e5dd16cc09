//! Beliefs over latent trajectories, each kind of posterior in turn.
//!
//! | posterior | belief over x_1 … x_T |
//! |---|---|
//! | exact | the smoother's Gaussian |
//! | sampled | S points drawn from it |
//! | hard | its mean, as if it were known |
//! | filter | independent Gaussians p(x_t given o_1 … o_t) |
//!
//! Learning from `hard` takes every noise for too small, because what is uncertain counts as known; learning from
//! `filter` also takes x_t and x_{t+1} for unrelated but for their means.

use super::{Draws, PosteriorConfig};
use crate::math::kalman::Beliefs;
use crate::math::streams::Generator;
use crate::model::{Guesses, Latents, Trajectories};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use std::sync::Arc;

/// The draws of `posterior`, in f64 on the processor.
pub(super) fn draws(
    posterior: &PosteriorConfig,
    trajectories: &dyn Trajectories,
    generator: &mut Generator,
) -> Result<Draws> {
    let Guesses { beliefs, log_q } = match posterior {
        PosteriorConfig::Exact(_) => trajectories.smoothed()?,
        PosteriorConfig::Sampled(sampled) => trajectories.sampled(sampled.samples, generator)?,
        PosteriorConfig::Hard(_) => {
            let Guesses { beliefs, log_q } = trajectories.smoothed()?;
            Guesses {
                beliefs: beliefs.into_iter().map(Beliefs::without_spread).collect(),
                log_q: vec![0.0; log_q.len()],
            }
        }
        PosteriorConfig::Filter(_) => trajectories.filtered()?,
        PosteriorConfig::Amortised(_) | PosteriorConfig::Importance(_) | PosteriorConfig::Hamiltonian(_) => {
            return Err(Error::Other("no such guesses of trajectories".into()));
        }
    };
    let shape = (log_q.len() / beliefs.len(), beliefs.len()); // [B, S]
    let weights = Tensor::full(1.0 / beliefs.len() as f64, shape, &Device::Cpu)?;
    let log_q = Tensor::from_vec(log_q, shape, &Device::Cpu)?;
    Ok(Draws::new(Latents::Trajectories(Arc::new(beliefs)), weights, log_q))
}
