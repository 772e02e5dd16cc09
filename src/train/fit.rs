//! The objective of one training step: that of θ and, where the posterior has a recognition network, that of φ.
//!
//! | fit | φ maximises | one backward pass for θ and φ |
//! |---|---|---|
//! | reverse_kl | the evidence lower bound: the objective's own (β, warm-up, free nats), or the plain one | if θ's gradient is the bound's |
//! | forward_kl | log q of weighted draws (wake) or of samples from the model (sleep) | yes: they share no parameter |
//! | objective | the objective | yes, except for the doubly reparameterised gradient |
//!
//! Otherwise θ is trained on detached draws, and φ on a joint with detached θ, from which its draws come, too: q may be built
//! with a part of the model.

use super::Job;
use crate::Result;
use crate::data::Batch;
use crate::error::provided;
use crate::math::streams::Generator;
use crate::model::Joint;
use crate::nn::{self, Parameters};
use crate::posterior::{Draws, Fit, Network, Phase};
use candle_core::Tensor;

/// The objective of one step on `batch`, whose joint under `parameters` is `joint`; `draws` of a joint of this batch is called
/// at most once. `[B]`
pub(super) fn objective(
    job: &Job,
    parameters: &Parameters,
    (batch, joint): (&Batch, &dyn Joint),
    step: u64,
    model_samples: &mut Generator,
    draws: impl FnOnce(&dyn Joint) -> Result<Draws>,
) -> Result<Tensor> {
    let network = job.posterior.network().filter(|_| job.objective.needs_posterior());
    let Some(Network { fit, phase, .. }) = network else {
        return job.objective.value(joint, step, || draws(joint));
    };
    let elbo = job.objective.elbo();
    if fit == Fit::ReverseKl && job.objective.shares_gradient_with_elbo() {
        return elbo.value(joint, &draws(joint)?, step);
    }
    let surrogate = job.objective.surrogate().filter(|_| fit == Fit::Objective);
    if fit == Fit::Objective && surrogate.is_none() {
        return job.objective.value(joint, step, || draws(joint));
    }
    let frozen = parameters.constant();
    let of_network = job.model.joint(&frozen, batch)?;
    let draws = draws(of_network.as_ref())?;
    let objective = job.objective.value(joint, step, || Ok(draws.detached()))?;
    let other = match (fit, phase) {
        (Fit::ForwardKl, Phase::Wake) => nn::weighted_sum(draws.log_q()?, &draws.weights)?,
        (Fit::ForwardKl, Phase::Sleep) => {
            let ancestral = provided(of_network.ancestral(), "samples of z and x")?;
            let latents = ancestral.sample_latents(1, model_samples)?;
            let sampled = Batch {
                observed: ancestral.sample_observed(&latents, model_samples)?,
                ..batch.clone()
            };
            let joint = job.model.joint(&frozen, &sampled)?;
            job.posterior.log_q(joint.as_ref(), parameters, &latents)?.squeeze(1)?
        }
        (Fit::ReverseKl | Fit::Objective, _) => match surrogate {
            Some(surrogate) => surrogate.value(of_network.as_ref(), &draws)?,
            None => elbo.value(of_network.as_ref(), &draws, step)?,
        },
    };
    Ok((objective + other)?)
}
