//! The most likely z with weight 1 (hard EM), as in k-means: of a finite latent the most probable value, of a Gaussian its
//! mean, of a trajectory the smoother's mean.
//!
//! Its expected log-likelihood is a lower bound that ignores the uncertainty of z, so its optimum is biased: standard
//! deviations are too small, and overlapping components are pushed apart.

use super::from_exact::{self, FromExact};
use super::{Common, Draws, Facts, PosteriorKind};
use crate::Result;
use crate::kind::{Declared, Example};
use crate::math::kalman::Beliefs;
use crate::math::streams::Generator;
use crate::model::{Joint, Latents, Need, Trajectories, TrajectoryPosterior};
use crate::nn::Parameters;
use candle_core::{D, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys of `kind = "hard"`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Hard {
    /// Options that every posterior has.
    #[serde(flatten)]
    pub common: Common,
}

impl Declared for Hard {
    const NAME: &'static str = "hard";
    const SUMMARY: &'static str = "The MAP value of z, with weight 1 (hard EM, as in k-means).";
    const EQUATION: &'static str = "z = argmax_z p_θ(z|x), with weight 1";
    const EXAMPLE: Example<'static> = Example {
        posterior: "kind = \"hard\"",
        ..Example::USUAL
    };
}

impl FromExact for Hard {
    /// The most likely value; the first one in a tie.
    fn finite(&self, log_q: &Tensor, _: &mut Generator) -> Result<Draws> {
        let index = log_q.argmax_keepdim(D::Minus1)?; // [B, 1]
        let one = Tensor::ones(index.shape(), log_q.dtype(), log_q.device())?;
        let log_q = one.zeros_like()?;
        Ok(Draws::new(Latents::Index(index), one, log_q))
    }

    fn gaussian(&self, rows: usize, z: usize, _: &mut Generator) -> (Vec<f64>, usize) {
        (vec![0.0; rows * z], 1)
    }

    fn trajectories(&self, exact: &dyn Trajectories, _: &mut Generator) -> Result<TrajectoryPosterior> {
        let TrajectoryPosterior { beliefs, log_q } = exact.smoothed()?;
        Ok(TrajectoryPosterior {
            beliefs: beliefs.into_iter().map(Beliefs::without_spread).collect(),
            log_q: vec![0.0; log_q.len()],
        })
    }

    fn is_point(&self) -> bool {
        true
    }
}

impl PosteriorKind for Hard {
    fn common(&self) -> &Common {
        &self.common
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::ExactPosterior]
    }

    fn facts(&self) -> Facts {
        Facts {
            samples: Some(1),
            without_temperature: Some("the most likely z is the same at every temperature"),
            ..Facts::PLAIN
        }
    }

    fn draws(&self, joint: &dyn Joint, _phi: &Parameters, step: u64, generator: &mut Generator) -> Result<Draws> {
        from_exact::draws(self, &self.common, joint, step, generator)
    }
}
