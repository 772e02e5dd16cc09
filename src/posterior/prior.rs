//! Draws from p(z) itself: the proposal of likelihood weighting, and of the bootstrap filter (Gordon, Salmond & Smith 1993).

use super::draws::Stepwise;
use super::{Common, Draws, DrawsOf, Facts, PosteriorKind};
use crate::Result;
use crate::error::Fault;
use crate::kind::{Declared, Example};
use crate::math::streams::Generator;
use crate::model::{Abilities, Bootstrap, Joint, Need};
use crate::nn::Parameters;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Keys of `kind = "prior"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Prior {
    /// Draws per row (or sequence), S.
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
    const SUMMARY: &'static str = "Draws from p(z), whatever x is: the plainest proposal of `iwae` and `fivo`.";
    const EQUATION: &'static str = "z_1 … z_S ~ p_θ(z), with weights 1/S";
    const EXAMPLE: Example<'static> = Example {
        posterior: "kind = \"prior\"",
        objective: "kind = \"iwae\"",
        ..Example::AMORTISED
    };
}

impl PosteriorKind for Prior {
    fn common(&self) -> &Common {
        &self.common
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Network]
    }

    fn facts(&self) -> Facts {
        Facts {
            is_drawn: true,
            samples: Some(self.samples),
            draws: DrawsOf::Known {
                finite: true,
                continuous: true,
                paths: true,
            },
            without_temperature: Some("p(z) does not depend on x"),
            ..Facts::PLAIN
        }
    }

    fn check(&self, model: &Abilities) -> Vec<Fault> {
        let is_void = model.has_no_latent();
        let fault = || {
            Fault::unused(
                "samples",
                "a model of one component has no latent variable",
                "a latent variable",
            )
        };
        (is_void && self.samples != Self::default().samples)
            .then(fault)
            .into_iter()
            .collect()
    }

    fn draws(&self, joint: &dyn Joint, _phi: &Parameters, _step: u64, generator: &mut Generator) -> Result<Draws> {
        let latents = joint.sample_latents(self.samples, generator)?;
        let log_q = joint.log_prior(&latents)?.detach();
        let draws = Draws::equal(latents, log_q)?;
        Ok(match joint.sequential() {
            Some(_) => Draws {
                stepwise: Some(Stepwise::new(Arc::new(Bootstrap), generator)),
                ..draws
            },
            None => draws,
        })
    }
}
