//! The filtering variational objective: the logarithm of a particle filter's estimate of p(o_1 … o_T), whose particles q
//! moves (Maddison et al. 2017; Naesseth et al. 2018; Le et al. 2018). Its expectation is at most log p(o_1 … o_T). Without
//! resampling it is the importance-weighted bound.
//!
//! The choice of ancestors depends on θ and φ, too. Its gradient, the score term, is unbiased with it and far noisier, so
//! that it is usually left out (Maddison et al. 2017, section 4.2).

use super::{ObjectiveKind, PosteriorUse, Setting};
use crate::Result;
use crate::error::{Fault, provided};
use crate::kind::{Declared, Example};
use crate::model::{Filter, Joint, Need, Resampling};
use crate::posterior::Draws;
use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The gradient of the choice of ancestors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AncestorGradient {
    /// Left out: less noise, some bias.
    None,
    /// The score term: no bias, much noise.
    Score,
}

/// Keys of `kind = "fivo"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Fivo {
    /// Particles of the filter, N.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub particles: usize,
    /// A sequence is resampled after a step if its effective sample size is at most this share of N: 0 for never, which is
    /// `iwae`, 1 for after every step.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub resample_below: f64,
    /// How ancestors are drawn.
    pub resampling: Resampling,
    /// The gradient of the choice of ancestors.
    pub ancestor_gradient: AncestorGradient,
}

impl Default for Fivo {
    fn default() -> Self {
        Self {
            particles: 4,
            resample_below: 0.5,
            resampling: Resampling::Systematic,
            ancestor_gradient: AncestorGradient::None,
        }
    }
}

impl Declared for Fivo {
    const NAME: &'static str = "fivo";
    const SUMMARY: &'static str = "The filtering variational objective: the logarithm of a particle filter's estimate of p(o), with q moving the particles.";
    const EQUATION: &'static str =
        "log p̂(o_1 … o_T) = Σ_t log Σ_i w_{t−1}^i p_θ(x_t^i | x_{t−1}^i) p_θ(o_t | x_t^i) / q(x_t^i | x_{t−1}^i, …)";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"lgssm\"\nlength = 20\ntrain = 400",
        model: "kind = \"neural_ssm\"",
        posterior: "kind = \"amortised\"\nfit = \"objective\"\nfamily = \"filtering\"\nhidden = [16]\nrecurrent_units = 16",
        objective: "kind = \"fivo\"",
        ..Example::USUAL
    };
}

impl ObjectiveKind for Fivo {
    fn needs(&self) -> &'static [Need] {
        &[Need::Paths]
    }

    fn posterior_use(&self) -> PosteriorUse {
        PosteriorUse::Stepwise
    }

    fn is_of_em(&self) -> bool {
        false
    }

    fn unit(&self) -> &'static str {
        "nats"
    }

    fn is_unbiased(&self) -> bool {
        false
    }

    fn particles(&self) -> Option<(usize, &'static str)> {
        Some((self.particles, self.resampling.name()))
    }

    fn unused(&self, _setting: &Setting) -> Vec<Fault> {
        let defaults = Self::default();
        let given = [
            ("resampling", self.resampling != defaults.resampling),
            (
                "ancestor_gradient",
                self.ancestor_gradient != defaults.ancestor_gradient,
            ),
        ];
        let is_idle = self.resample_below == 0.0 || self.particles == 1;
        let given = given.into_iter().filter(|(_, is_given)| *is_given && is_idle);
        let fault = |(key, _)| {
            let acts = "`resample_below` above 0 and `particles` above 1";
            Fault::unused(key, "no ancestor is ever drawn", acts)
        };
        given.map(fault).collect()
    }

    fn evaluate(&self, joint: &dyn Joint, _step: u64, draws: &mut dyn FnMut() -> Result<Draws>) -> Result<Tensor> {
        let stepwise = provided(draws()?.stepwise, "a distribution of one state after another")?;
        let model = provided(joint.sequential(), "paths of states")?;
        let filter = Filter {
            particles: self.particles,
            resample_below: self.resample_below,
            resampling: self.resampling,
        };
        let with_score = self.ancestor_gradient == AncestorGradient::Score;
        let generator = &mut stepwise.generator.clone();
        let found = filter.run(model.as_ref(), stepwise.proposal.as_ref(), with_score, generator)?;
        let value = found.log_estimate;
        Ok(match found.log_ancestors {
            // The second term is 0, and its gradient is the value times the score.
            Some(log) => (&value + (value.detach() * (&log - log.detach())?)?)?,
            None => value,
        })
    }
}
