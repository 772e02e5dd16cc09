//! The evidence lower bound, with a weight β on its divergence:
//! `E_q[log p_θ(x|z)] − β KL(q(z|x) ‖ p_θ(z))` (Higgins et al. 2017, equation 4).
//!
//! At β = 1 it is `E_q[log p_θ(x, z)] + H(q) = log p_θ(x) − KL(q ‖ p_θ(z|x))`, a lower bound of the log-likelihood.
//! β has this one meaning everywhere, with and without free nats. For sequences z is the whole path of states, so its
//! prior is `log p(x_1) + Σ_t log p(x_{t+1} | x_t, u_t)`, and `log p_θ(x|z)` is the sum of the emissions.
//!
//! Free nats keep the optimiser from reducing KL(q ‖ p(z)) to 0, which leaves the latent variable unused: below λ nats
//! (the mean over the batch) the divergence counts as λ (Kingma et al. 2016, appendix C.8, with one group). Warm-up
//! lets β grow from 0 (Sønderby et al. 2016).

use super::additions::{Additions, StepByStep, of_paths};
use super::{ObjectiveKind, PosteriorUse, Setting};
use crate::Result;
use crate::error::Fault;
use crate::kind::{Declared, Example};
use crate::model::{Joint, Need};
use crate::posterior::{Draws, Fit};
use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys of `kind = "elbo"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Elbo {
    /// The weight β of KL(q(z|x) ‖ p(z)) (Higgins et al. 2017). At 1 the objective is a lower bound of the
    /// log-likelihood.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub beta: f64,
    /// Free nats λ: while the mean of KL(q(z|x) ‖ p(z)) over the batch is below λ, it counts as λ and has no gradient.
    /// In nats per row, or per sequence.
    #[schemars(range(min = 0.0, max = 1e6))]
    pub free_nats: f64,
    /// Of models of sequences: free nats of each step: while the mean over the batch of KL(q(x_t | …) ‖ p(x_t | x_{t−1},
    /// u_{t−1})) is below it, the divergence of step t counts as this and has no gradient.
    #[serde(skip_serializing_if = "super::additions::is_zero")]
    #[schemars(range(min = 0.0, max = 1e6))]
    pub free_nats_per_step: f64,
    /// Steps over which β grows linearly from 0; at most `training.steps`.
    pub warm_up_steps: u64,
    /// What is subtracted beside the divergence.
    #[serde(flatten)]
    pub additions: Additions,
}

impl Default for Elbo {
    fn default() -> Self {
        Self {
            beta: 1.0,
            free_nats: 0.0,
            free_nats_per_step: 0.0,
            warm_up_steps: 0,
            additions: Additions::default(),
        }
    }
}

impl Elbo {
    /// β at `step`, counted from 0.
    fn beta_at(&self, step: u64) -> f64 {
        match step < self.warm_up_steps {
            true => self.beta * step as f64 / self.warm_up_steps as f64,
            false => self.beta,
        }
    }

    /// The objective of each row (or sequence) at `step`, in nats. `[B]`
    pub fn value(&self, joint: &dyn Joint, draws: &Draws, step: u64) -> Result<Tensor> {
        if self.additions.is_empty() && self.free_nats_per_step == 0.0 {
            return self.bound(joint, draws, step);
        }
        let steps = StepByStep::new(joint, draws)?;
        let bound = match self.free_nats_per_step {
            0.0 => self.bound(joint, draws, step)?,
            free => {
                let prior = joint.log_prior(&draws.latents)?; // [B, S]
                let likelihood = draws.expectation(&(joint.log_joint(&draws.latents)? - prior)?)?; // [B]
                let divergences = steps.divergences()?.mean(1)?; // [B, T]
                let is_free = divergences.mean_keepdim(0)?.lt(free)?; // [1, T]
                let free = (divergences.ones_like()? * free)?;
                let counted = is_free
                    .broadcast_as(divergences.shape())?
                    .where_cond(&free, &divergences)?;
                (likelihood - (counted.sum(1)? * self.beta_at(step))?)?
            }
        };
        match self.additions.is_empty() {
            true => Ok(bound),
            false => Ok((bound - self.additions.penalty(&steps)?)?),
        }
    }

    /// The bound itself. `[B]`
    fn bound(&self, joint: &dyn Joint, draws: &Draws, step: u64) -> Result<Tensor> {
        let beta = self.beta_at(step);
        if beta == 1.0 && self.free_nats == 0.0 {
            // log p(z) cancels, so the separate terms are not needed.
            let expected = draws.expectation(&joint.log_joint(&draws.latents)?)?;
            let entropy = draws.expectation(draws.log_q()?)?.neg()?;
            return Ok((expected + entropy)?);
        }
        let prior = joint.log_prior(&draws.latents)?; // [B, S]
        let divergence = draws.expectation(&(draws.log_q()? - &prior)?)?; // [B]
        let likelihood = draws.expectation(&(joint.log_joint(&draws.latents)? - prior)?)?; // [B]
        if self.free_nats > 0.0 {
            let mean = divergence.detach().mean(0)?.to_dtype(candle_core::DType::F64)?;
            if mean.to_scalar::<f64>()? < self.free_nats {
                return Ok((likelihood - beta * self.free_nats)?);
            }
        }
        Ok((likelihood - (divergence * beta)?)?)
    }
}

impl Declared for Elbo {
    const NAME: &'static str = "elbo";
    const SUMMARY: &'static str =
        "The evidence lower bound, E_q[log p(x|z)] − β KL(q ‖ p(z)): at β = 1 a lower bound of log p(x).";
    const EQUATION: &'static str = "E_q[log p_θ(x|z)] − β KL(q(z|x) ‖ p_θ(z))";
    const EXAMPLE: Example<'static> = Example::AMORTISED;
}

impl ObjectiveKind for Elbo {
    fn needs(&self) -> &'static [Need] {
        &[]
    }

    fn posterior_use(&self) -> PosteriorUse {
        PosteriorUse::KnownDensity
    }

    fn is_of_em(&self) -> bool {
        false
    }

    fn unit(&self) -> &'static str {
        "nats"
    }

    fn is_unbiased(&self) -> bool {
        true
    }

    fn elbo(&self) -> Elbo {
        self.clone()
    }

    fn shares_gradient_with_elbo(&self) -> bool {
        true
    }

    fn schedule(&self) -> Option<(&'static str, &'static str, u64)> {
        Some(("the warm-up of β", "warm_up_steps", self.warm_up_steps))
    }

    fn unused(&self, setting: &Setting) -> Vec<Fault> {
        let defaults = Self::default();
        let keys = [
            ("beta", self.beta != defaults.beta),
            ("free_nats", self.free_nats != defaults.free_nats),
            ("warm_up_steps", self.warm_up_steps != defaults.warm_up_steps),
        ];
        let is_trained = matches!(setting.fit, Some(Fit::ReverseKl | Fit::Objective));
        let fault = |key: &str| {
            if setting.model.has_no_latent() {
                return Some(setting.no_latent(key));
            }
            if !is_trained && !setting.model.learns_prior {
                return Some(Fault::unused(
                    key,
                    "KL(q ‖ p(z)) has no parameter that the objective trains: the prior is fixed, and the posterior is not \
                         trained by the bound",
                    "a prior that is learnt, or `amortised` with `fit = \"reverse_kl\"`",
                ));
            }
            let is_void = self.beta == 0.0 && key != "beta";
            is_void.then(|| Fault::unused(key, "β = 0 leaves KL(q ‖ p(z)) out", "`beta` above 0"))
        };
        let given = keys.into_iter().filter(|(_, is_given)| *is_given);
        let mut faults: Vec<Fault> = given.filter_map(|(key, _)| fault(key)).collect();
        faults.extend(self.additions.unused(setting));
        if self.free_nats_per_step > 0.0 {
            faults.extend(of_paths("free_nats_per_step", setting).or_else(|| fault("free_nats_per_step")));
        }
        if self.free_nats > 0.0 && self.free_nats_per_step > 0.0 {
            let reason = "each step has free nats of its own";
            faults.push(Fault::unused("free_nats", reason, "without `free_nats_per_step`"));
        }
        faults
    }

    fn evaluate(&self, joint: &dyn Joint, step: u64, draws: &mut dyn FnMut() -> Result<Draws>) -> Result<Tensor> {
        self.value(joint, &draws()?, step)
    }
}
