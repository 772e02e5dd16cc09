//! A truncated posterior: the two most likely values of a finite latent, with their probabilities renormalised (expectation
//! truncation, Lücke & Eggert 2010).

use candle_core::{D, Tensor};
use latent_lab::error::provided;
use latent_lab::kind::{Declared, Example};
use latent_lab::math::streams::Generator;
use latent_lab::model::{ExactPosterior, Joint, Latents, Need};
use latent_lab::nn::Parameters;
use latent_lab::posterior::{Common, Draws, Facts, PosteriorKind};
use latent_lab::{Error, Result, nn};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys of `kind = "two_best"`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TwoBest {
    /// Options that every posterior has.
    #[serde(flatten)]
    pub common: Common,
}

impl Declared for TwoBest {
    const NAME: &'static str = "two_best";
    const SUMMARY: &'static str = "The two most likely values of z.";
    const EQUATION: &'static str = "the two largest p(z|x), renormalised";
    const EXAMPLE: Example<'static> = Example {
        posterior: "kind = \"two_best\"",
        ..Example::USUAL
    };
}

impl PosteriorKind for TwoBest {
    fn common(&self) -> &Common {
        &self.common
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::ExactPosterior, Need::Rows, Need::FiniteLatent]
    }

    fn facts(&self) -> Facts {
        Facts { ..Facts::PLAIN }
    }

    fn draws(&self, joint: &dyn Joint, _phi: &Parameters, step: u64, _generator: &mut Generator) -> Result<Draws> {
        let ExactPosterior::Enumerable = provided(joint.exact_posterior(), "p(z|x)")? else {
            return Err(Error::Lacking("an enumerable latent"));
        };
        let log_joint = (joint.log_joint(&Latents::All)?.detach() / self.common.temperature.at(step))?;
        let order = log_joint.arg_sort_last_dim(false)?; // [B, K]
        let best = order.narrow(D::Minus1, 0, order.dim(D::Minus1)?.min(2))?.contiguous()?; // [B, 2]
        let log_q: Tensor = nn::log_softmax(&log_joint.gather(&best, 1)?)?;
        Ok(Draws::new(Latents::Index(best), log_q.exp()?, log_q))
    }
}
