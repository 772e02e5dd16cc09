//! Draws from the true posterior of a finite latent, equally weighted. The expected log-likelihood of these draws is an
//! unbiased estimate of the exact one, and so is its gradient; the standard deviation falls as 1/√S.

use super::from_exact::{self, FromExact};
use super::{Common, Draws, DrawsOf, Facts, PosteriorKind};
use crate::Result;
use crate::kind::{Declared, Example};
use crate::math::index_at;
use crate::math::streams::Generator;
use crate::model::Need;
use crate::model::{Joint, Latents, Trajectories, TrajectoryPosterior};
use crate::nn::Parameters;
use candle_core::{DType, Tensor};
use rand::RngExt;
use rand_distr::StandardNormal;
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

impl FromExact for Sampled {
    fn finite(&self, log_q: &Tensor, generator: &mut Generator) -> Result<Draws> {
        let index = index(log_q, self.samples, generator)?;
        let log_q = log_q.contiguous()?.gather(&index, 1)?;
        Draws::equal(Latents::Index(index), log_q)
    }

    fn gaussian(&self, rows: usize, z: usize, generator: &mut Generator) -> (Vec<f64>, usize) {
        let count = rows * self.samples * z;
        let units = (0..count).map(|_| generator.sample(StandardNormal)).collect();
        (units, self.samples)
    }

    fn trajectories(&self, exact: &dyn Trajectories, generator: &mut Generator) -> Result<TrajectoryPosterior> {
        exact.sampled(self.samples, generator)
    }

    fn is_point(&self) -> bool {
        false
    }
}

impl Declared for Sampled {
    const NAME: &'static str = "sampled";
    const SUMMARY: &'static str =
        "Draws from the true posterior, equally weighted: an unbiased estimate of the exact one.";
    const EQUATION: &'static str = "z_1 … z_S ~ p_θ(z|x), with weights 1/S";
    const EXAMPLE: Example<'static> = Example {
        posterior: "kind = \"sampled\"",
        ..Example::USUAL
    };
}

impl PosteriorKind for Sampled {
    fn common(&self) -> &Common {
        &self.common
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::ExactPosterior]
    }

    fn facts(&self) -> Facts {
        Facts {
            is_drawn: true,
            samples: Some(self.samples),
            draws: DrawsOf::Known {
                finite: true,
                continuous: true,
            },
            ..Facts::PLAIN
        }
    }

    fn draws(&self, joint: &dyn Joint, _phi: &Parameters, step: u64, generator: &mut Generator) -> Result<Draws> {
        from_exact::draws(self, &self.common, joint, step, generator)
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
            index.push(index_at(row, generator.random::<f64>() * total) as u32);
        }
    }
    Ok(Tensor::from_vec(index, (rows, samples), log_q.device())?)
}
