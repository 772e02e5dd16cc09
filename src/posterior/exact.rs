//! The true posterior of a finite latent, by enumeration: every z, weighted by `p(z|x) = p(x,z) / Σ_z p(x,z)`.

use super::{Draws, FromFinite};
use crate::Result;
use crate::math::streams::Generator;
use crate::model::Latents;
use crate::nn;
use candle_core::Tensor;

/// Every value, weighted by its probability.
pub(super) struct Exact;

/// Weights below this are set to 0: they change no sum in f32 or f64, and denormal numbers are slow.
const SMALLEST_WEIGHT: f64 = 1e-30;

impl FromFinite for Exact {
    fn draws(&self, log_q: &Tensor, _: &mut Generator) -> Result<Draws> {
        let weights = nn::probabilities(log_q, SMALLEST_WEIGHT)?;
        Ok(Draws::new(Latents::All, weights, log_q.clone()))
    }
}
