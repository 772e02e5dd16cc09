//! Self-normalised importance samples: S draws z_s from a proposal q, weighted by `w_s ∝ p(x, z_s) / q(z_s)`.
//!
//! As S grows, the weighted draws converge to the true posterior for every q. The proposal is the prior p(z), or a
//! recognition network q_φ(z|x) trained on the weighted draws (Bornschein & Bengio 2015, reweighted wake-sleep) or on
//! model samples.

use super::amortised::Phase;
use super::amortised::{Amortised, Fit};
use super::recognition::{Recognition, log_q};
use super::sequence::SequenceKeys;
use super::{Common, Draws, DrawsOf, Facts, Network, PosteriorKind};
use crate::Result;
use crate::error::Fault;
use crate::kind::{Declared, Example};
use crate::math::streams::Generator;
use crate::model::Joint;
use crate::model::{Abilities, Need};
use crate::nn::{self, Activation, Parameters};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The proposal of importance samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proposal {
    /// p(z): no network, and few useful draws where p(z|x) is narrow.
    Prior,
    /// A recognition network q_φ(z|x).
    Amortised,
}

/// Keys of `kind = "importance"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Importance {
    /// Draws per row, S.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub samples: usize,
    /// The proposal that they are drawn from.
    pub proposal: Proposal,
    /// Whether the recognition network is trained on the weighted draws (`wake`) or on model samples (`sleep`). Both
    /// maximise E log q, which minimises the forward KL.
    pub phase: Phase,
    /// Units of each hidden layer of the recognition network.
    #[schemars(inner(range(min = 1, max = 65_536)))]
    pub hidden: Vec<usize>,
    /// The non-linearity between hidden layers.
    pub activation: Activation,
    /// What a network of sequences is beside that.
    #[serde(flatten)]
    pub sequence: SequenceKeys,
    /// Options that every posterior has.
    #[serde(flatten)]
    pub common: Common,
}

impl Default for Importance {
    fn default() -> Self {
        let Amortised { hidden, activation, .. } = Amortised::default();
        Self {
            samples: 10,
            proposal: Proposal::Amortised,
            phase: Phase::Wake,
            hidden,
            activation,
            sequence: SequenceKeys::default(),
            common: Common::default(),
        }
    }
}

impl Importance {
    /// The network, if the proposal is one.
    fn recognition(&self) -> Option<Recognition<'_>> {
        (self.proposal == Proposal::Amortised).then_some(Recognition {
            hidden: &self.hidden,
            activation: self.activation,
            sequence: &self.sequence,
        })
    }
}

impl Declared for Importance {
    const NAME: &'static str = "importance";
    const SUMMARY: &'static str = "Weighted draws from a proposal: close to the true posterior where there are many.";
    const EQUATION: &'static str = "z_1 … z_S ~ q, with weights w_s ∝ p_θ(x, z_s) / q(z_s)";
    const EXAMPLE: Example<'static> = Example {
        posterior: "kind = \"importance\"",
        objective: "kind = \"expected_log_likelihood\"",
        ..Example::AMORTISED
    };
}

impl PosteriorKind for Importance {
    fn common(&self) -> &Common {
        &self.common
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Network]
    }

    fn facts(&self) -> Facts {
        Facts {
            is_drawn: true,
            may_have_network: true,
            samples: Some(self.samples),
            draws: DrawsOf::Unknown("self-normalised draws have no tractable q(z|x), so their entropy is unknown"),
            without_temperature: (self.samples == 1).then_some("the weight of a single draw is always 1"),
            ..Facts::PLAIN
        }
    }

    fn network(&self) -> Option<Network<'_>> {
        self.recognition().map(|recognition| Network {
            recognition,
            fit: Fit::ForwardKl,
            phase: self.phase,
        })
    }

    fn check(&self, model: &Abilities) -> Vec<Fault> {
        if self.proposal != Proposal::Prior {
            let mut faults = self.sequence.check(model);
            if model.is_sequential() && !self.sequence.has_density() {
                faults.push(Fault::new(
                    "family",
                    "a deterministic path has no density, by which its samples could be weighed",
                    "another family",
                    "choose `filtering` or `smoothing`",
                ));
            }
            return faults;
        }
        let defaults = Self::default();
        let changed = [
            ("phase", self.phase != defaults.phase),
            ("hidden", self.hidden != defaults.hidden),
            ("activation", self.activation != defaults.activation),
        ];
        let changed = changed.into_iter().filter(|(_, is_changed)| *is_changed);
        let ignored = changed.map(|(key, _)| key).chain(self.sequence.given());
        ignored
            .map(|key| {
                let message = format!("`{key}` is for a recognition network, and draws from p(z) do not use one");
                Fault::new(key, message, "`proposal = \"amortised\"` beside it", "remove it")
            })
            .collect()
    }

    fn draws(&self, joint: &dyn Joint, phi: &Parameters, step: u64, generator: &mut Generator) -> Result<Draws> {
        let temperature = self.common.temperature.at(step);
        let (latents, log_q) = proposed(self.recognition(), joint, phi, self.samples, generator)?;
        let log_weights = ((joint.log_joint(&latents)? - &log_q)?.detach() / temperature)?;
        let weights = nn::log_softmax(&log_weights)?.exp()?;
        Ok(Draws::new(latents, weights, log_q))
    }
}

/// Detached draws from the network or from p(z), and their log q, which carries a gradient for φ.
pub(super) fn proposed(
    recognition: Option<Recognition>,
    joint: &dyn Joint,
    phi: &Parameters,
    samples: usize,
    generator: &mut Generator,
) -> Result<(crate::model::Latents, candle_core::Tensor)> {
    match recognition {
        Some(recognition) => {
            let q = recognition.apply(joint, phi)?;
            let latents = q.draw(samples, generator)?.detached();
            let log_q = log_q(q.as_ref(), &latents)?;
            Ok((latents, log_q))
        }
        None => {
            let latents = joint.sample_latents(samples, generator)?;
            let log_q = joint.log_prior(&latents)?.detach();
            Ok((latents, log_q))
        }
    }
}
