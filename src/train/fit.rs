//! What one step ascends: the objective for θ and, where a recognition network guesses, its own for φ.
//!
//! | fit | φ ascends | θ and φ in one pass |
//! |---|---|---|
//! | reverse_kl | the evidence lower bound | where θ's gradient is the bound's too |
//! | forward_kl | log q of weighted draws (wake) or of the model's own (sleep) | yes: they share no parameter |
//! | objective | the objective | yes, but for the doubly reparameterised gradient |
//!
//! Elsewhere θ learns from draws held constant, and φ from a joint under a copy of θ that no step reaches.

use super::Job;
use crate::Result;
use crate::data::Batch;
use crate::math::streams::Generator;
use crate::model::Joint;
use crate::nn::{self, Parameters};
use crate::objective::{Elbo, Gradient, ObjectiveConfig};
use crate::posterior::{Draws, Fit, Phase};
use candle_core::Tensor;

/// What to ascend in one step on `batch`, of which `joint` is the joint under `parameters`; `draws` are asked for once, if
/// needed. `[B]`
pub(super) fn ascent(
    job: &Job,
    parameters: &Parameters,
    (batch, joint): (&Batch, &dyn Joint),
    step: u64,
    dreams: &mut Generator,
    draws: impl FnOnce() -> Result<Draws>,
) -> Result<Tensor> {
    let fit = job.posterior.fit().filter(|_| job.objective.needs_posterior());
    let Some((fit, phase)) = fit else {
        return job.objective.value(joint, step, draws);
    };
    let draws = draws()?;
    let elbo = ObjectiveConfig::Elbo(Elbo::default());
    if fit == Fit::ReverseKl && job.objective.shares_gradient_with_elbo() {
        return elbo.value(joint, step, || Ok(draws));
    }
    let doubly =
        matches!(&job.objective, ObjectiveConfig::Iwae(iwae) if iwae.gradient == Gradient::DoublyReparameterised);
    if fit == Fit::Objective && !doubly {
        return job.objective.value(joint, step, || Ok(draws));
    }
    let objective = job.objective.value(joint, step, || Ok(draws.detached()))?;
    let other = match (fit, phase) {
        (Fit::ForwardKl, Phase::Wake) => nn::weighted_sum(draws.log_q()?, &draws.weights)?,
        (Fit::ForwardKl, Phase::Sleep) => {
            let latents = joint.sample_latents(1, dreams)?;
            let dreamt = Batch {
                observed: joint.sample_observed(&latents, dreams)?,
                ..batch.clone()
            };
            let joint = job.model.joint(parameters, &dreamt)?;
            job.posterior.log_q(joint.as_ref(), parameters, &latents)?.squeeze(1)?
        }
        _ => {
            let frozen = parameters.snapshot()?;
            let joint = job.model.joint(&frozen, batch)?;
            let surrogate = match (&job.objective, fit) {
                (ObjectiveConfig::Iwae(iwae), Fit::Objective) => iwae.surrogate(joint.as_ref(), &draws)?,
                _ => None,
            };
            match surrogate {
                Some(surrogate) => surrogate,
                None => elbo.value(joint.as_ref(), step, || Ok(draws))?,
            }
        }
    };
    Ok((objective + other)?)
}
