//! The true posterior `p(z|x) = p(x, z) / Σ_z p(x, z)`.
//!
//! | latent | draws |
//! |---|---|
//! | finite | every z, weighted by its probability |
//! | continuous, Gaussian | the 2Z points m ± √Z L e_i, equally weighted: the expectation of every quadratic function is exact, and log p(x, z) is one |
//! | trajectory | the smoother's Gaussian, over which log p(x, z) is averaged in closed form |
//!
//! The points are the third-degree cubature rule (Arasaratnam & Haykin 2009, equation 32).

use super::from_exact::{self, FromExact};
use super::{Common, Draws, Facts, PosteriorKind};
use crate::kind::{Declared, Example};
use crate::math::streams::Generator;
use crate::model::{Joint, Latents, Need, Trajectories, TrajectoryPosterior};
use crate::nn::Parameters;
use crate::{Result, nn};
use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys of `kind = "exact"`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Exact {
    /// Options that every posterior has.
    #[serde(flatten)]
    pub common: Common,
}

impl Declared for Exact {
    const NAME: &'static str = "exact";
    const SUMMARY: &'static str = "The true posterior of the model: every z, weighted by p(z|x).";
    const EQUATION: &'static str = "every z, with weight w_z ∝ p_θ(z|x)^(1/temperature)";
    const EXAMPLE: Example<'static> = Example::USUAL;
}

/// Weights below this are set to 0: they change no sum in f32 or f64, and denormal numbers are slow.
const SMALLEST_WEIGHT: f64 = 1e-30;

impl FromExact for Exact {
    fn finite(&self, log_q: &Tensor, _: &mut Generator) -> Result<Draws> {
        let weights = nn::probabilities(log_q, SMALLEST_WEIGHT)?;
        Ok(Draws::new(Latents::All, weights, log_q.clone()))
    }

    fn gaussian(&self, rows: usize, z: usize, _: &mut Generator) -> (Vec<f64>, usize) {
        let one = |at: usize| {
            let (s, i) = (at / z % (2 * z), at % z);
            let size = if s / 2 == i { (z as f64).sqrt() } else { 0.0 };
            if s % 2 == 0 { size } else { -size }
        };
        ((0..rows * 2 * z * z).map(one).collect(), 2 * z)
    }

    fn trajectories(&self, exact: &dyn Trajectories, _: &mut Generator) -> Result<TrajectoryPosterior> {
        exact.smoothed()
    }

    fn is_point(&self) -> bool {
        false
    }
}

impl PosteriorKind for Exact {
    fn common(&self) -> &Common {
        &self.common
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::ExactPosterior]
    }

    fn facts(&self) -> Facts {
        Facts {
            is_exact: true,
            ..Facts::PLAIN
        }
    }

    fn draws(&self, joint: &dyn Joint, _phi: &Parameters, step: u64, generator: &mut Generator) -> Result<Draws> {
        from_exact::draws(self, &self.common, joint, step, generator)
    }
}
