//! The recognition network: a distribution q_φ(z|x) whose parameters are a network of x (and of given columns).
//!
//! Of rows, it is a perceptron: a continuous latent gets a diagonal Gaussian `N(μ(x), diag σ(x)²)`, σ = floor + exp(raw),
//! whose draws `z = μ + σ ε` carry a gradient (Kingma & Welling 2014, section 2.4); a finite one gets a categorical
//! distribution. Of sequences, it is one of the families of [`super::sequence`]. φ is stored beside θ, under
//! `posterior.*`.

use super::Distribution;
use super::sequence::SequenceKeys;
use crate::data::{Batches, Dataset};
use crate::error::provided;
use crate::math::streams::{Generator, Streams};
use crate::model::{Joint, Latent, Latents, Model, Normal};
use crate::nn::{self, Activation, Parameters, Perceptron};
use crate::{Error, Result};
use candle_core::Tensor;
use std::sync::Arc;

/// The prefix of φ among all parameters.
pub const POSTERIOR: &str = "posterior";

/// The floor of the standard deviations of q, in units of z.
pub(super) const DEVIATION_FLOOR: f64 = 1e-4;

/// The architecture of a recognition network; its parameters are in [`Parameters`].
#[derive(Debug, Clone, Copy)]
pub struct Recognition<'a> {
    /// Units of each hidden layer.
    pub hidden: &'a [usize],
    /// The non-linearity between hidden layers.
    pub activation: Activation,
    /// What a network of sequences is beside that.
    pub sequence: &'a SequenceKeys,
}

impl Recognition<'_> {
    /// Whether its draws have a density: paths of states need not.
    pub fn has_density(&self, of_paths: bool) -> bool {
        !of_paths || self.sequence.has_density()
    }

    fn network(self, latent: Latent, inputs: usize) -> Result<Perceptron> {
        let outputs = match latent {
            Latent::Finite(components) => components,
            Latent::Continuous(dimensions) | Latent::Trajectory(dimensions) => 2 * dimensions,
        };
        // Initially q hardly depends on x: it is close to N(0, I), or uniform.
        Ok(Perceptron::new(inputs, self.hidden, outputs, self.activation)?.with_output_scale(0.1))
    }

    /// Adds initial values of φ beside θ, for rows like `train`.
    pub fn initial(
        self,
        model: &dyn Model,
        train: &Dataset,
        streams: &Streams,
        parameters: &mut Parameters,
    ) -> Result<()> {
        let (dtype, device) = (parameters.dtype(), parameters.device());
        if let Latent::Trajectory(_) = model.latent() {
            let theta = parameters.constant();
            let batch = Batches::new(train, dtype, &device).narrow(0, train.len().min(256))?;
            let joint = model.joint(&theta, &batch)?;
            return super::sequence::initial(self, joint.as_ref(), (model, train), streams, parameters);
        }
        let inputs = train.observed.columns() + train.given.as_ref().map_or(0, |given| given.columns());
        let stream = streams.named("initial/posterior");
        self.network(model.latent(), inputs)?
            .initial(POSTERIOR, parameters, dtype, &device, &stream)
    }

    /// q_φ(z|x) for the rows of `joint`.
    pub fn apply(self, joint: &dyn Joint, parameters: &Parameters) -> Result<Arc<dyn Distribution>> {
        let latent = joint.latent();
        if let Latent::Trajectory(_) = latent {
            let model = provided(joint.sequential(), "paths of states")?;
            return super::sequence::apply(self, model, parameters);
        }
        let x = match joint.given() {
            Some(given) => Tensor::cat(&[joint.observed(), given], 1)?,
            None => joint.observed().clone(),
        };
        let output = self.network(latent, x.dim(1)?)?.forward(parameters, POSTERIOR, &x)?;
        Ok(match latent {
            Latent::Continuous(z) => Arc::new(Normal {
                mean: output.narrow(1, 0, z)?,
                raw: output.narrow(1, z, z)?,
                floor: DEVIATION_FLOOR,
            }),
            _ => Arc::new(Categorical {
                log_q: nn::log_softmax(&output)?,
            }),
        })
    }
}

/// A diagonal Gaussian of a continuous latent for each row: the type of the states of sequences as well.
impl Distribution for Normal {
    fn draw(&self, samples: usize, generator: &mut Generator) -> Result<Latents> {
        let (b, z) = self.mean.dims2()?;
        let noise = nn::normal(generator, (b, samples, z), self.mean.dtype(), self.mean.device())?;
        let z = nn::reparameterised(&self.mean, &self.raw, &noise, self.floor)?;
        Ok(Latents::Continuous(z)) // [B, S, Z]
    }

    fn log_prob(&self, latents: &Latents) -> Result<Option<Tensor>> {
        let Latents::Continuous(z) = latents else {
            return Err(latents.unexpected("points of a continuous latent"));
        };
        let (b, s, dims) = z.dims3()?;
        let rows = |parameter: &Tensor| -> Result<Tensor> {
            let all = parameter.unsqueeze(1)?.broadcast_as((b, s, dims))?;
            Ok(all.reshape((b * s, dims))?)
        };
        let all = Self {
            mean: rows(&self.mean)?,
            raw: rows(&self.raw)?,
            floor: self.floor,
        };
        let values = all.log_prob(&z.reshape((b * s, dims))?)?;
        Ok(Some(values.reshape((b, s))?))
    }

    fn detached(&self) -> Arc<dyn Distribution> {
        Arc::new(Self::detached(self))
    }

    fn mean(&self) -> Option<&Tensor> {
        Some(&self.mean)
    }
}

/// A finite latent for each row.
#[derive(Debug, Clone)]
struct Categorical {
    /// log q of every value, in nats. `[B, K]`
    log_q: Tensor,
}

impl Distribution for Categorical {
    fn draw(&self, samples: usize, generator: &mut Generator) -> Result<Latents> {
        Ok(Latents::Index(super::sampled::index(&self.log_q, samples, generator)?))
    }

    fn log_prob(&self, latents: &Latents) -> Result<Option<Tensor>> {
        match latents {
            Latents::All => Ok(Some(self.log_q.clone())),
            Latents::Index(index) => Ok(Some(self.log_q.contiguous()?.gather(index, 1)?)),
            _ => Err(latents.unexpected("values of a finite latent")),
        }
    }

    fn detached(&self) -> Arc<dyn Distribution> {
        Arc::new(Self {
            log_q: self.log_q.detach(),
        })
    }
}

/// log q at `latents`, which have a density.
pub(super) fn log_q(q: &dyn Distribution, latents: &Latents) -> Result<Tensor> {
    q.log_prob(latents)?.ok_or(Error::Lacking("a tractable log q"))
}
