//! Paths of states from the model itself: the proposal of likelihood weighting, and of the bootstrap filter (Gordon, Salmond & Smith 1993).

use super::draws::Stepwise;
use super::{Common, Draws, DrawsOf, Facts, PosteriorKind};
use crate::Result;
use crate::kind::{Declared, Example};
use crate::math::streams::Generator;
use crate::model::{Bootstrap, Joint, Need};
use crate::nn::Parameters;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Keys of `kind = "prior"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Prior {
    /// Paths per sequence, S.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub samples: usize,
    /// Options that every posterior has.
    #[serde(flatten)]
    pub common: Common,
}

impl Default for Prior {
    fn default() -> Self {
        Self {
            samples: 10,
            common: Common::default(),
        }
    }
}

impl Declared for Prior {
    const NAME: &'static str = "prior";
    const SUMMARY: &'static str =
        "Paths of the model itself, whatever is observed: the plainest proposal of `iwae` and `fivo`.";
    const EQUATION: &'static str = "x_1 ~ p_θ(x_1), x_{t+1} ~ p_θ(x_{t+1} | x_t, u_t), with weights 1/S";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"lgssm\"\nlength = 20\ntrain = 400",
        model: "kind = \"neural_ssm\"",
        posterior: "kind = \"prior\"",
        objective: "kind = \"iwae\"",
        ..Example::USUAL
    };
}

impl PosteriorKind for Prior {
    fn common(&self) -> &Common {
        &self.common
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Paths]
    }

    fn facts(&self) -> Facts {
        Facts {
            is_drawn: true,
            samples: Some(self.samples),
            is_stepwise: true,
            draws: DrawsOf::Proposal,
            without_temperature: Some("p(x_1 … x_T) does not depend on what is observed"),
            ..Facts::PLAIN
        }
    }

    fn draws(&self, joint: &dyn Joint, _phi: &Parameters, _step: u64, generator: &mut Generator) -> Result<Draws> {
        let latents = joint.sample_latents(self.samples, generator)?;
        let log_q = joint.log_prior(&latents)?.detach();
        Ok(Draws {
            stepwise: Some(Stepwise::new(Arc::new(Bootstrap), generator)),
            ..Draws::equal(latents, log_q)?
        })
    }
}
