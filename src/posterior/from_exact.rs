//! Draws from the true posterior, for the three kinds of latent: by enumeration, from a Gaussian, from a smoother.

use super::{Common, Draws, gaussian_latent, trajectory};
use crate::error::provided;
use crate::math::streams::Generator;
use crate::model::{ExactPosterior, Joint, Latents, Trajectories, TrajectoryPosterior};
use crate::{Result, nn};
use candle_core::Tensor;

/// How a posterior takes draws from the true one.
pub(super) trait FromExact {
    /// From a finite latent: `log_q` is normalised over K and carries no gradient. `[B, K]`
    fn finite(&self, log_q: &Tensor, generator: &mut Generator) -> Result<Draws>;

    /// From a Gaussian N(m, L Lᵀ) of Z dimensions: points for `rows` rows in units of L, `[B, S, Z]`, and S.
    fn gaussian(&self, rows: usize, dimensions: usize, generator: &mut Generator) -> (Vec<f64>, usize);

    /// From the beliefs over trajectories.
    fn trajectories(&self, exact: &dyn Trajectories, generator: &mut Generator) -> Result<TrajectoryPosterior>;

    /// Whether a draw counts as known, with log q = 0.
    fn is_point(&self) -> bool;
}

/// The draws for the rows of `joint` at `step`.
pub(super) fn draws(
    rule: &dyn FromExact,
    common: &Common,
    joint: &dyn Joint,
    step: u64,
    generator: &mut Generator,
) -> Result<Draws> {
    match provided(joint.exact_posterior(), "p(z|x)")? {
        ExactPosterior::Enumerable => {
            let log_joint = joint.log_joint(&Latents::All)?.detach();
            let log_q = match common.temperature.at(step) {
                1.0 => nn::log_softmax(&log_joint)?,
                t => nn::log_softmax(&(log_joint / t)?)?,
            };
            rule.finite(&log_q, generator)
        }
        ExactPosterior::Gaussian(latent) => {
            let like = (joint.observed().dtype(), joint.observed().device());
            gaussian_latent::draws(rule, latent.posterior()?, like, generator)
        }
        ExactPosterior::Trajectories(exact) => trajectory::draws(rule.trajectories(exact, generator)?),
    }
}
