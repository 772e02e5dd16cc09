//! An approximate posterior q_φ(z|x) by a network: one function for all rows.
//!
//! `fit` is the objective of φ:
//!
//! | fit | φ maximises | also called |
//! |---|---|---|
//! | reverse_kl | the evidence lower bound, so KL(q ‖ p(z given x)) falls | variational autoencoder |
//! | forward_kl, phase sleep | E log q(z given x) over (x, z) drawn from the model | wake-sleep (Hinton et al. 1995) |
//! | forward_kl, phase wake | Σ_s w_s log q(z_s given x) over weighted draws for the data | reweighted wake-sleep (Bornschein & Bengio 2015) |
//! | objective | the objective of θ; q collapses to a point if it has no entropy term | |
//!
//! A continuous latent is drawn with a gradient (reparameterised). A finite one is enumerated, every value weighted by
//! q, or drawn.

use super::draws::Stepwise;
use super::recognition::{Recognition, log_q};
use super::sequence::SequenceKeys;
use super::{Common, Draws, DrawsOf, Facts, Network, PosteriorKind};
use crate::Result;
use crate::error::Fault;
use crate::kind::{Declared, Example};
use crate::math::streams::Generator;
use crate::model::{Abilities, Need};
use crate::model::{Joint, Latent, Latents};
use crate::nn::{Activation, Parameters};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The objective of φ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// The evidence lower bound.
    ReverseKl,
    /// E log q(z|x) over pairs (x, z).
    ForwardKl,
    /// The objective of θ.
    Objective,
}

/// The source of the pairs of `forward_kl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// x from the data, z from the posterior's weighted draws.
    Wake,
    /// x and z from the model.
    Sleep,
}

/// Keys of `kind = "amortised"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Amortised {
    /// Draws per row, S. Without this key: one draw of a continuous latent; every value of a finite one, weighted by q.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub samples: Option<usize>,
    /// The objective of the recognition network. With `forward_kl` its pairs (x, z) are model samples.
    pub fit: Fit,
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

impl Default for Amortised {
    fn default() -> Self {
        Self {
            samples: None,
            fit: Fit::ReverseKl,
            hidden: vec![64, 64],
            activation: Activation::Tanh,
            sequence: SequenceKeys::default(),
            common: Common::default(),
        }
    }
}

impl Amortised {
    fn recognition(&self) -> Recognition<'_> {
        Recognition {
            hidden: &self.hidden,
            activation: self.activation,
            sequence: &self.sequence,
        }
    }

    /// Whether gradients of φ flow through its draws: q is enumerated or reparameterised.
    fn has_gradient(&self, finite_latent: bool) -> bool {
        !finite_latent || self.samples.is_none()
    }
}

impl Declared for Amortised {
    const NAME: &'static str = "amortised";
    const SUMMARY: &'static str = "An approximate posterior q_φ(z|x) by a network, trained beside the model.";
    const EQUATION: &'static str = "z_1 … z_S ~ q_φ(z|x), with weights 1/S; or every z, with weight q_φ(z|x)";
    const EXAMPLE: Example<'static> = Example::AMORTISED;
}

impl PosteriorKind for Amortised {
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
            is_stepwise: self.sequence.is_stepwise(),
            samples: self.samples,
            draws: match self.sequence.has_density() {
                true => DrawsOf::Known {
                    finite: false,
                    continuous: true,
                    paths: true,
                },
                false => DrawsOf::Unknown("a deterministic path has no density, so q has no entropy"),
            },
            ..Facts::PLAIN
        }
    }

    fn network(&self) -> Option<Network<'_>> {
        Some(Network {
            recognition: self.recognition(),
            fit: self.fit,
            phase: Phase::Sleep,
        })
    }

    fn check(&self, model: &Abilities) -> Vec<Fault> {
        let mut faults = self.sequence.check(model);
        faults.extend(self.sequence.check_fit(self.fit, model));
        if self.common != Common::default() {
            let key = match self.common.refresh_every {
                1 => "temperature",
                _ => "refresh_every",
            };
            faults.push(Fault::new(
                key,
                "the samples of a recognition network cannot be stale or tempered",
                "no such key here",
                "remove it, or choose `importance`",
            ));
        }
        if self.fit != Fit::ForwardKl && !self.has_gradient(model.is_finite()) {
            faults.push(Fault::new(
                "samples",
                "drawn values of a finite latent carry no gradient for the network",
                "no such key, so that every value is weighted by q",
                "remove it, or set `fit = \"forward_kl\"`",
            ));
        }
        faults
    }

    fn draws(&self, joint: &dyn Joint, phi: &Parameters, _step: u64, generator: &mut Generator) -> Result<Draws> {
        let q = self.recognition().apply(joint, phi)?;
        let draws = match (self.samples, joint.latent()) {
            (None, Latent::Finite(_)) => {
                let log_q = log_q(q.as_ref(), &Latents::All)?;
                Draws::new(Latents::All, log_q.exp()?, log_q)
            }
            (samples, _) => {
                let (latents, log_q) = q.draw_with_log_prob(samples.unwrap_or(1), generator)?;
                Draws::of_equal_weight(latents, log_q)?
            }
        };
        let stepwise = q.proposal().map(|proposal| Stepwise::new(proposal, generator));
        Ok(Draws {
            q: Some(q),
            stepwise,
            ..draws
        })
    }
}
