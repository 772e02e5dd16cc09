//! A distribution over the latents of a batch that draws carry with them: q(z|x).

use crate::Result;
use crate::math::streams::Generator;
use crate::model::{Latents, Proposal};
use candle_core::Tensor;
use std::fmt::Debug;
use std::sync::Arc;

/// q(z|x) of the rows, or the sequences, of one batch.
pub trait Distribution: Debug + Send + Sync {
    /// S = `samples` draws for each row; those of a continuous latent carry a gradient.
    fn draw(&self, samples: usize, generator: &mut Generator) -> Result<Latents>;

    /// log q at `latents`, in nats; none if draws have no density. `[B, S]`
    fn log_prob(&self, latents: &Latents) -> Result<Option<Tensor>>;

    /// Draws with their log q `[B, S]`, if they have a density: [`Distribution::draw`] and then [`Distribution::log_prob`].
    fn draw_with_log_prob(&self, samples: usize, generator: &mut Generator) -> Result<(Latents, Option<Tensor>)> {
        let latents = self.draw(samples, generator)?;
        let log_q = self.log_prob(&latents)?;
        Ok((latents, log_q))
    }

    /// The same distribution, detached: no gradient reaches φ.
    fn detached(&self) -> Arc<dyn Distribution>;

    /// The mean of a continuous latent, `[B, Z]`; none for others.
    fn mean(&self) -> Option<&Tensor> {
        None
    }

    /// The mean of every state of a path, `[B, T, X]`, if it has a closed form; none otherwise.
    ///
    /// # Errors
    /// If it cannot be computed.
    fn state_means(&self) -> Result<Option<Tensor>> {
        Ok(None)
    }

    /// The distribution of one state after another, if it is one of paths: it can move particles.
    fn proposal(&self) -> Option<Arc<dyn Proposal>> {
        None
    }
}
