//! The most likely value of a finite latent with weight 1 (hard EM), as in k-means.
//!
//! Its expected log-likelihood is a lower bound that ignores the uncertainty of z, so its optimum is biased: standard
//! deviations are too small, and overlapping components are pushed apart.

use super::{Draws, FromFinite};
use crate::Result;
use crate::math::streams::Generator;
use crate::model::Latents;
use candle_core::{D, Tensor};

/// The most likely value; the first one in a tie.
pub(super) struct Hard;

impl FromFinite for Hard {
    fn draws(&self, log_q: &Tensor, _: &mut Generator) -> Result<Draws> {
        let index = log_q.argmax_keepdim(D::Minus1)?; // [B, 1]
        let one = Tensor::ones(index.shape(), log_q.dtype(), log_q.device())?;
        let log_q = one.zeros_like()?;
        Ok(Draws::new(Latents::Index(index), one, log_q))
    }
}
