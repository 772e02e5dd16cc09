//! Draws from beliefs over latent trajectories, in f64 on the CPU.
//!
//! | posterior | belief over x_1 … x_T |
//! |---|---|
//! | exact | the smoother's Gaussian |
//! | sampled | S points drawn from it |
//! | hard | its mean, as if it were known |
//! | filter | independent Gaussians p(x_t given o_1 … o_t) |
//! | extended_kalman, unscented_kalman | an approximate smoother's Gaussian |
//! | particle | S points drawn through the particles of a filter |
//!
//! Training with `hard` underestimates every noise, because uncertain states count as known. The first four need a posterior
//! in closed form, the others a state space of any kind.

use super::Draws;
use crate::Result;
use crate::model::{Latents, TrajectoryPosterior};
use candle_core::{Device, Tensor};
use std::sync::Arc;

/// Equally weighted draws.
pub(super) fn draws(TrajectoryPosterior { beliefs, log_q }: TrajectoryPosterior) -> Result<Draws> {
    let shape = (log_q.len() / beliefs.len(), beliefs.len()); // [B, S]
    let weights = Tensor::full(1.0 / beliefs.len() as f64, shape, &Device::Cpu)?;
    let log_q = Tensor::from_vec(log_q, shape, &Device::Cpu)?;
    Ok(Draws::new(Latents::Trajectories(Arc::new(beliefs)), weights, log_q))
}
