//! Draws from the true posterior of a finite latent, equally weighted. The expected log-likelihood of these draws is an
//! unbiased estimate of the exact one, and so is its gradient; the standard deviation falls as 1/√S.

use super::{Common, Draws, FromFinite};
use crate::Result;
use crate::math::streams::Generator;
use crate::model::Latents;
use candle_core::{DType, Tensor};
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys of `kind = "sampled"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Sampled {
    /// Draws per row, S.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub samples: usize,
    /// Options that every posterior has.
    #[serde(flatten)]
    pub common: Common,
}

impl Default for Sampled {
    fn default() -> Self {
        Self {
            samples: 1,
            common: Common::default(),
        }
    }
}

impl FromFinite for Sampled {
    fn draws(&self, log_q: &Tensor, generator: &mut Generator) -> Result<Draws> {
        let index = index(log_q, self.samples, generator)?;
        let weights =
            Tensor::full(1.0 / self.samples as f64, index.shape(), log_q.device())?.to_dtype(log_q.dtype())?;
        let log_q = log_q.contiguous()?.gather(&index, 1)?;
        Ok(Draws::new(Latents::Index(index), weights, log_q))
    }
}

/// `samples` values for each row, drawn with the probabilities `exp log_q`: `[B, K] → [B, S]`.
pub(super) fn index(log_q: &Tensor, samples: usize, generator: &mut Generator) -> Result<Tensor> {
    let (rows, components) = log_q.dims2()?;
    let probabilities = log_q.to_dtype(DType::F64)?.exp()?.flatten_all()?.to_vec1::<f64>()?;
    let mut index = Vec::with_capacity(rows * samples);
    for row in probabilities.chunks(components) {
        let total: f64 = row.iter().sum();
        for _ in 0..samples {
            let mut left = generator.random::<f64>() * total;
            let mut z = 0;
            // Rounding errors go to the last value with positive probability.
            for (k, p) in row.iter().enumerate().filter(|(_, p)| **p > 0.0) {
                z = k;
                left -= p;
                if left < 0.0 {
                    break;
                }
            }
            index.push(z as u32);
        }
    }
    Ok(Tensor::from_vec(index, (rows, samples), log_q.device())?)
}
