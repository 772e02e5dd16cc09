//! The single most likely value of a finite latent, as if it were known: the shortcut that k-means takes.
//!
//! Its expected log-likelihood is a lower bound that ignores how uncertain z is, so its optimum is biased: deviations come
//! out too small and overlapping components are pushed apart.

use super::{Draws, FromFinite};
use crate::Result;
use crate::math::streams::Generator;
use crate::model::Latents;
use candle_core::{D, Tensor};

/// The most likely value; the first of equals.
pub(super) struct Hard;

impl FromFinite for Hard {
    fn draws(&self, log_q: &Tensor, _: &mut Generator) -> Result<Draws> {
        let index = log_q.argmax_keepdim(D::Minus1)?; // [B, 1]
        let one = Tensor::ones(index.shape(), log_q.dtype(), log_q.device())?;
        let log_q = one.zeros_like()?;
        Ok(Draws::new(Latents::Index(index), one, log_q))
    }
}
