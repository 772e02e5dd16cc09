//! The locally optimal proposal p(x_t | x_{t−1}, o_t) (Doucet, Godsill & Andrieu 2000, section II.D), of a model with one
//! state and a linear Gaussian emission: the conditional distribution of a Gaussian, in closed form.
//!
//! `1/v = 1/q + Σ_d c_d² / r_d` and `m = v (f/q + Σ_d c_d (o_d − d_d) / r_d)` over the observed entries, f and q the mean
//! and variance of p(x_t | x_{t−1}, u_{t−1}). It is the best proposal that sees x_{t−1} and o_t alone.

use super::draws::Stepwise;
use super::paths::Paths;
use super::{Common, Distribution, Draws, DrawsOf, Facts, PosteriorKind, log_q};
use crate::Result;
use crate::error::{Fault, provided};
use crate::kind::{Declared, Example};
use crate::math::streams::Generator;
use crate::model::{Abilities, Joint, LinearEmission, Need, Normal, Proposal, Sequential, Span, TransitionRecursion};
use crate::nn::{GaussianRecursion, Parameters};
use candle_core::{D, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Keys of `kind = "locally_optimal"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LocallyOptimal {
    /// Paths per sequence, S.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub samples: usize,
    /// Options that every posterior has.
    #[serde(flatten)]
    pub common: Common,
}

impl Default for LocallyOptimal {
    fn default() -> Self {
        Self {
            samples: 10,
            common: Common::default(),
        }
    }
}

impl Declared for LocallyOptimal {
    const NAME: &'static str = "locally_optimal";
    const SUMMARY: &'static str =
        "Paths that see each observation as it comes: the best proposal of `iwae` and `fivo` without a look ahead.";
    const EQUATION: &'static str = "x_t ~ p_θ(x_t | x_{t−1}, u_{t−1}, o_t), with weights 1/S";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"lgssm\"\nlength = 20\ntrain = 400",
        model: "kind = \"neural_ssm\"\nstates = 1\nemission.kind = \"linear\"",
        posterior: "kind = \"locally_optimal\"",
        objective: "kind = \"fivo\"",
        ..Example::USUAL
    };
}

impl PosteriorKind for LocallyOptimal {
    fn common(&self) -> &Common {
        &self.common
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::LinearEmission]
    }

    fn facts(&self) -> Facts {
        Facts {
            is_drawn: true,
            samples: Some(self.samples),
            is_stepwise: true,
            draws: DrawsOf::Proposal,
            without_temperature: Some("paths of a proposal are not tempered"),
            ..Facts::PLAIN
        }
    }

    fn check(&self, model: &Abilities) -> Vec<Fault> {
        let states = model.states.filter(|states| *states > 1 && model.paths);
        let fault = |states: usize| {
            Fault::new(
                "kind",
                format!("`locally_optimal` is for one state, and this model has {states}"),
                "`model.states = 1`",
                "choose `prior`, or `amortised` with `family = \"filtering\"`",
            )
        };
        states.map(fault).into_iter().collect()
    }

    fn draws(&self, joint: &dyn Joint, _phi: &Parameters, _step: u64, generator: &mut Generator) -> Result<Draws> {
        let model = provided(joint.sequential(), "paths of states")?;
        let emission = provided(model.linear_emission()?, "a linear Gaussian emission")?;
        let q = Paths {
            proposal: Arc::new(Optimal {
                model: model.clone(),
                emission,
            }),
            model,
        };
        let latents = q.draw(self.samples, generator)?.detached();
        let log_q = log_q(&q, &latents)?.detach();
        Ok(Draws {
            stepwise: Some(Stepwise::new(q.proposal.detached(), generator)),
            ..Draws::equal(latents, log_q)?
        })
    }
}

/// p(x_t | x_{t−1}, o_t) of the sequences of a model.
#[derive(Debug, Clone)]
struct Optimal {
    model: Arc<dyn Sequential>,
    emission: LinearEmission,
}

impl Proposal for Optimal {
    fn propose(&self, steps: Span, _before: Option<&Tensor>, prior: Option<&Normal>) -> Result<Option<Normal>> {
        let prior = provided(prior, "the transition of the model")?;
        let (rows, sequences) = (prior.mean.dim(0)?, self.model.steps());
        let LinearEmission {
            matrix,
            offset,
            variances,
        } = &self.emission;
        let weight = matrix.t()?.broadcast_div(variances)?; // [1, O]
        let weights = match &sequences.present {
            Some(present) => steps.rows(present)?.broadcast_mul(&weight)?,
            None => weight.broadcast_as((rows, weight.dim(1)?))?,
        };
        let information = weights.broadcast_mul(&matrix.t()?)?.sum_keepdim(D::Minus1)?; // [N, 1]
        let evidence = (steps.rows(&sequences.observed)?.broadcast_sub(offset)? * weights)?.sum_keepdim(D::Minus1)?;
        let precision = prior.deviation()?.sqr()?.recip()?;
        let variance = (&precision + information)?.recip()?;
        let mean = (((&prior.mean * precision)? + evidence)? * &variance)?;
        Ok(Some(Normal {
            mean,
            raw: (variance.log()? * 0.5)?,
            floor: 0.0,
        }))
    }

    fn recursion(&self, _transition: Option<&TransitionRecursion>) -> Result<Option<GaussianRecursion>> {
        Ok(None)
    }

    fn needs_prior(&self) -> bool {
        true
    }

    fn is_independent(&self) -> bool {
        false
    }

    fn is_point(&self) -> bool {
        false
    }

    fn detached(&self) -> Arc<dyn Proposal> {
        Arc::new(Self {
            model: self.model.clone(),
            emission: self.emission.detached(),
        })
    }
}
