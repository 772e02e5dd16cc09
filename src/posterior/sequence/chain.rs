//! q of a family as a distribution of one state after another.

use super::SequenceFamily;
use super::networks::Networks;
use crate::Result;
use crate::data::repeated;
use crate::model::{Carried, Normal, Proposal, Sequential};
use crate::nn::Parameters;
use candle_core::Tensor;
use std::sync::Arc;

/// q_φ(x_t | x_{t−1}, o, u) of the sequences of a batch.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    networks: Networks,
    /// The number of sequences, B.
    sequences: usize,
    parameters: Parameters,
    /// `[B, T, C]`
    context: Tensor,
}

impl Chain {
    /// The distribution of the sequences of `model`.
    pub fn new(networks: Networks, model: &dyn Sequential, parameters: &Parameters) -> Result<Self> {
        Ok(Self {
            sequences: model.steps().dims().0,
            context: networks.context(model, parameters)?,
            parameters: parameters.clone(),
            networks,
        })
    }
}

impl Proposal for Chain {
    fn propose(
        &self,
        t: usize,
        rows: usize,
        carried: Option<&Carried>,
        prior: Option<&Normal>,
    ) -> Result<Option<Normal>> {
        let previous = carried.map(|carried| &carried.state);
        let own = |is_relative| {
            let seen = self.context.narrow(1, t, 1)?.squeeze(1)?.contiguous()?;
            let seen = repeated(&seen, rows / self.sequences)?;
            self.networks.gaussian(&self.parameters, &seen, previous, is_relative)
        };
        match (self.networks.family, prior) {
            (SequenceFamily::InitialOnly, _) if t > 0 => Ok(None),
            (SequenceFamily::TransitionNoise, Some(prior)) => {
                let noise = own(true)?;
                let deviation = prior.deviation()?;
                Ok(Some(Normal {
                    mean: (&prior.mean + (&deviation * &noise.mean)?)?,
                    raw: (deviation.log()? + &noise.raw)?,
                    floor: noise.floor,
                }))
            }
            _ => own(false).map(Some),
        }
    }

    fn needs_prior(&self) -> bool {
        self.networks.family.uses_transition()
    }

    fn all(&self) -> Result<Option<Normal>> {
        if self.networks.family.is_chain() || self.networks.family.uses_transition() {
            return Ok(None);
        }
        let rows = self.context.contiguous()?.flatten_to(1)?;
        self.networks.gaussian(&self.parameters, &rows, None, false).map(Some)
    }

    fn is_point(&self) -> bool {
        self.networks.family == SequenceFamily::Deterministic
    }

    fn detached(&self) -> Arc<dyn Proposal> {
        Arc::new(Self {
            parameters: self.parameters.constant(),
            context: self.context.detach(),
            ..self.clone()
        })
    }
}
