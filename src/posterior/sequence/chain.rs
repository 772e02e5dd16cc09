//! q of a family as a distribution of one state after another.

use super::SequenceFamily;
use super::networks::Networks;
use crate::Result;
use crate::data::repeated;
use crate::error::provided;
use crate::model::{Normal, Proposal, Sequential, Span, TransitionRecursion};
use crate::nn::{self, GaussianRecursion, Parameters, RecursionLayer};
use candle_core::{D, Tensor};
use std::sync::{Arc, OnceLock};

/// q_φ(x_t | x_{t−1}, o, u) of the sequences of a batch.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    networks: Networks,
    parameters: Parameters,
    /// `[B, T, C]`
    context: Tensor,
    /// Its steps, once they are drawn one after another. `[B, C]` each
    steps: OnceLock<Vec<Tensor>>,
}

impl Chain {
    /// The distribution of the sequences of `model`.
    pub fn new(networks: Networks, model: &dyn Sequential, parameters: &Parameters) -> Result<Self> {
        Ok(Self {
            context: networks.context(model, parameters)?,
            steps: OnceLock::new(),
            parameters: parameters.clone(),
            networks,
        })
    }

    /// What these steps see, for all samples. `[N, C]`
    fn seen(&self, steps: Span) -> Result<Tensor> {
        if steps.count > 1 {
            return steps.rows(&self.context);
        }
        if self.steps.get().is_none() {
            // Another thread may have been first, with the same tensors.
            let _ = self.steps.set(nn::unstack(&self.context)?);
        }
        let step = self.steps.get().and_then(|all| all.get(steps.from));
        repeated(provided(step, "a step of the sequences")?, steps.samples)
    }

    /// The Gaussians that the network gives for these steps.
    fn own(&self, steps: Span, before: Option<&Tensor>, prior: Option<&Normal>, is_relative: bool) -> Result<Normal> {
        let expected = prior.map(|prior| &prior.mean);
        let gaussian = |seen: &Tensor, before| {
            self.networks
                .gaussian(&self.parameters, seen, before, expected, is_relative)
        };
        if self.networks.family.is_chain() {
            return gaussian(&self.seen(steps)?, before);
        }
        let seen = self.context.narrow(1, steps.from, steps.count)?.contiguous()?; // [B, count, C]
        let all = gaussian(&seen.flatten_to(1)?, None)?;
        let wide = |parameter: Tensor| -> Result<Tensor> {
            let (b, count, _) = seen.dims3()?;
            let rows = parameter.reshape((b, count, parameter.dim(1)?))?;
            Ok(repeated(&rows, steps.samples)?.flatten_to(1)?)
        };
        Ok(Normal {
            mean: wide(all.mean)?,
            raw: wide(all.raw)?,
            floor: all.floor,
        })
    }
}

impl Proposal for Chain {
    fn propose(&self, steps: Span, before: Option<&Tensor>, prior: Option<&Normal>) -> Result<Option<Normal>> {
        match (self.networks.family, prior) {
            (SequenceFamily::InitialOnly, _) if steps.from > 0 => Ok(None),
            (SequenceFamily::TransitionNoise, Some(prior)) => {
                let noise = self.own(steps, before, None, true)?;
                let deviation = prior.deviation()?;
                Ok(Some(Normal {
                    mean: (&prior.mean + (&deviation * &noise.mean)?)?,
                    raw: (deviation.log()? + &noise.raw)?,
                    floor: noise.floor,
                }))
            }
            _ => self.own(steps, before, prior, false).map(Some),
        }
    }

    fn recursion(&self, transition: Option<&TransitionRecursion>) -> Result<Option<GaussianRecursion>> {
        let own = |is_relative| {
            let later = self.context.dim(1)? - 1;
            let seen = self.context.narrow(1, 1, later)?;
            self.networks.recursion(&self.parameters, &seen, is_relative)
        };
        match (self.networks.family, transition) {
            (SequenceFamily::Filtering | SequenceFamily::Smoothing, _) => own(false),
            (SequenceFamily::InitialOnly, Some(transition)) => Ok(Some(transition.steps.clone())),
            (SequenceFamily::TransitionNoise, Some(transition)) => match own(true)? {
                Some(noise) => with_noise(transition, &noise),
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    fn needs_prior(&self) -> bool {
        self.networks.family.uses_transition() || self.networks.sees_transition
    }

    fn is_independent(&self) -> bool {
        !self.networks.family.is_chain() && !self.networks.family.uses_transition()
    }

    fn is_point(&self) -> bool {
        self.networks.family == SequenceFamily::Deterministic
    }

    fn detached(&self) -> Arc<dyn Proposal> {
        Arc::new(Self {
            parameters: self.parameters.constant(),
            context: self.context.detach(),
            steps: OnceLock::new(),
            networks: self.networks.clone(),
        })
    }
}

/// The recursion of x_t = m + σ ε, with the mean m and the deviation σ of a transition whose noise is constant, and ε
/// drawn by `noise`. Its hidden layer holds those of both side by side; none if their activations differ.
fn with_noise(transition: &TransitionRecursion, noise: &GaussianRecursion) -> Result<Option<GaussianRecursion>> {
    let Some(raw) = &transition.raw else { return Ok(None) };
    let steps = &transition.steps;
    let x = raw.dim(1)?;
    let deviation = Normal {
        mean: raw.clone(),
        raw: raw.clone(),
        floor: steps.floor,
    };
    let deviation = deviation.deviation()?; // [1, X]
    let scales = Tensor::cat(&[&deviation, &deviation.ones_like()?], 1)?; // [1, 2X]
    let hidden = match (&steps.hidden, &noise.hidden) {
        (Some(a), Some(b)) if a.activation != b.activation => return Ok(None),
        (Some(a), Some(b)) => Some(RecursionLayer {
            state: Tensor::cat(&[&a.state, &b.state], 1)?,
            activation: a.activation,
            output: Tensor::cat(&[&a.output, &b.output.broadcast_mul(&scales)?], 0)?,
        }),
        (Some(a), None) => Some(a.clone()),
        (None, Some(b)) => Some(RecursionLayer {
            output: b.output.broadcast_mul(&scales)?,
            ..b.clone()
        }),
        (None, None) => None,
    };
    // Of both contexts: the part of the hidden layer, and that of means and raw numbers.
    let split = |recursion: &GaussianRecursion| -> Result<(Option<Tensor>, Tensor)> {
        let units = recursion.context.dim(D::Minus1)? - 2 * x;
        let layer = (units > 0).then(|| recursion.context.narrow(2, 0, units)).transpose()?;
        Ok((layer, recursion.context.narrow(2, units, 2 * x)?))
    };
    let ((first, mean), (second, drawn)) = (split(steps)?, split(noise)?);
    let mean = mean.narrow(2, 0, x)?;
    let constant = deviation.log()?.unsqueeze(0)?.broadcast_as(mean.shape())?;
    let outputs = (drawn.broadcast_mul(&scales)? + Tensor::cat(&[&mean, &constant], 2)?)?;
    let context: Vec<Tensor> = [first, second, Some(outputs)].into_iter().flatten().collect();
    Ok(Some(GaussianRecursion {
        hidden,
        direct: (&steps.direct + noise.direct.broadcast_mul(&scales)?)?,
        context: Tensor::cat(&context, 2)?,
        floor: noise.floor,
    }))
}
