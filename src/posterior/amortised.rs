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

use super::recognition::Recognition;
use super::{Common, Draws};
use crate::math::streams::Generator;
use crate::model::{Joint, Latent, Latents};
use crate::nn::{Activation, Parameters};
use crate::{Error, Result};
use candle_core::Tensor;
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
            common: Common::default(),
        }
    }
}

impl Amortised {
    pub(super) fn recognition(&self) -> Recognition<'_> {
        Recognition {
            hidden: &self.hidden,
            activation: self.activation,
        }
    }

    pub(super) fn draws(&self, joint: &dyn Joint, phi: &Parameters, generator: &mut Generator) -> Result<Draws> {
        let q = self.recognition().apply(joint, phi)?;
        if let (None, Latent::Finite(_)) = (self.samples, joint.latent()) {
            let log_q = q.log_prob(&Latents::All)?;
            return Ok(Draws {
                q: Some(q),
                ..Draws::new(Latents::All, log_q.exp()?, log_q)
            });
        }
        let samples = self.samples.unwrap_or(1);
        let latents = q.draw(samples, generator)?;
        let log_q = q.log_prob(&latents)?;
        let weights = Tensor::full(1.0 / samples as f64, log_q.shape(), log_q.device())?.to_dtype(log_q.dtype())?;
        Ok(Draws {
            q: Some(q),
            ..Draws::new(latents, weights, log_q)
        })
    }

    /// Whether gradients of φ flow through its draws: q is enumerated or reparameterised.
    pub(super) fn has_gradient(&self, finite_latent: bool) -> bool {
        !finite_latent || self.samples.is_none()
    }
}

/// `log q_φ(z|x)` of given latents. `[B, S]`
pub(super) fn log_q(
    recognition: Option<Recognition>,
    joint: &dyn Joint,
    phi: &Parameters,
    latents: &Latents,
) -> Result<Tensor> {
    let recognition = recognition.ok_or_else(|| Error::Other("this posterior has no recognition network".into()))?;
    recognition.apply(joint, phi)?.log_prob(latents)
}
