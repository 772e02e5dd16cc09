//! Filtering beliefs over a trajectory: Gaussians p(x_t | o_1 … o_t), independent of each other.
//!
//! They ignore the future and the dependence between steps. A model trained with them sees x_t and x_{t+1} related through
//! their means only.

use super::{Common, Draws, Facts, PosteriorKind, trajectory};
use crate::kind::{Declared, Example};
use crate::math::streams::Generator;
use crate::model::{ExactPosterior, Joint, Need};
use crate::nn::Parameters;
use crate::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys of `kind = "filter"`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Filter {
    /// Options that every posterior has.
    #[serde(flatten)]
    pub common: Common,
}

impl Declared for Filter {
    const NAME: &'static str = "filter";
    const SUMMARY: &'static str =
        "Filtering beliefs p(x_t | o_1 … o_t), independent across steps (models of sequences only).";
    const EQUATION: &'static str = "Π_t p_θ(x_t | o_1 … o_t): the past only, steps independent of each other";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"lgssm\"\ntrain = 200",
        model: "kind = \"linear_gaussian_ssm\"",
        posterior: "kind = \"filter\"",
        ..Example::USUAL
    };
}

impl PosteriorKind for Filter {
    fn common(&self) -> &Common {
        &self.common
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Trajectory, Need::ExactPosterior]
    }

    fn facts(&self) -> Facts {
        Facts { ..Facts::PLAIN }
    }

    fn draws(&self, joint: &dyn Joint, _phi: &Parameters, _step: u64, _generator: &mut Generator) -> Result<Draws> {
        match joint.exact_posterior() {
            Some(ExactPosterior::Trajectories(exact)) => trajectory::draws(exact.filtered()?),
            _ => Err(Error::Lacking("filtering beliefs over trajectories")),
        }
    }
}
