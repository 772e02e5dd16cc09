//! The recognition network: a distribution q_φ(z|x) whose parameters are a perceptron of x (and of given columns).
//!
//! A continuous latent gets a diagonal Gaussian `N(μ(x), diag σ(x)²)`, σ = floor + exp(raw), whose draws `z = μ + σ ε`
//! carry a gradient (Kingma & Welling 2014, section 2.4); a finite one gets a categorical distribution. φ is stored
//! beside θ, under `posterior.*`.

use crate::data::Dataset;
use crate::math::streams::{Generator, Stream};
use crate::model::{Joint, Latent, Latents};
use crate::nn::{self, Activation, Parameters, Perceptron};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};

/// The prefix of φ among all parameters.
pub const POSTERIOR: &str = "posterior";

/// The floor of the standard deviations of q, in units of z.
const DEVIATION_FLOOR: f64 = 1e-4;

/// The architecture of a recognition network; its parameters are in [`Parameters`].
#[derive(Debug, Clone, Copy)]
pub struct Recognition<'a> {
    /// Units of each hidden layer.
    pub hidden: &'a [usize],
    /// The non-linearity between hidden layers.
    pub activation: Activation,
}

impl Recognition<'_> {
    fn network(self, latent: Latent, inputs: usize) -> Result<Perceptron> {
        let outputs = match latent {
            Latent::Finite(components) => components,
            Latent::Continuous(dimensions) => 2 * dimensions,
            Latent::Trajectory(_) => {
                return Err(Error::Lacking("q(z|x) of trajectories by a network of rows"));
            }
        };
        // Initially q hardly depends on x: it is close to N(0, I), or uniform.
        Ok(Perceptron::new(inputs, self.hidden, outputs, self.activation)?.with_output_scale(0.1))
    }

    /// Adds initial values of φ for rows like `train`.
    pub fn initial(
        self,
        latent: Latent,
        train: &Dataset,
        parameters: &mut Parameters,
        (dtype, device): (DType, &Device),
        stream: &Stream,
    ) -> Result<()> {
        let inputs = train.observed.columns() + train.given.as_ref().map_or(0, |given| given.columns());
        self.network(latent, inputs)?
            .initial(POSTERIOR, parameters, dtype, device, stream)
    }

    /// q_φ(z|x) for the rows of `joint`.
    pub fn apply(self, joint: &dyn Joint, parameters: &Parameters) -> Result<Recognised> {
        let x = match joint.given() {
            Some(given) => Tensor::cat(&[joint.observed(), given], 1)?,
            None => joint.observed().clone(),
        };
        let latent = joint.latent();
        let output = self.network(latent, x.dim(1)?)?.forward(parameters, POSTERIOR, &x)?;
        Ok(match latent {
            Latent::Continuous(z) => Recognised::Gaussian {
                mean: output.narrow(1, 0, z)?,
                raw: output.narrow(1, z, z)?,
            },
            _ => Recognised::Categorical {
                log_q: nn::log_softmax(&output)?,
            },
        })
    }
}

/// q(z|x) of some rows.
#[derive(Debug, Clone)]
pub enum Recognised {
    /// A diagonal Gaussian of a continuous latent.
    Gaussian {
        /// `[B, Z]`
        mean: Tensor,
        /// Raw standard deviations, before exp and floor. `[B, Z]`
        raw: Tensor,
    },
    /// A finite latent.
    Categorical {
        /// log q of every value, in nats. `[B, K]`
        log_q: Tensor,
    },
}

impl Recognised {
    /// `samples` draws for each row; those of a Gaussian carry a gradient.
    pub(super) fn draw(&self, samples: usize, generator: &mut Generator) -> Result<Latents> {
        match self {
            Self::Gaussian { mean, raw } => {
                let (b, z) = mean.dims2()?;
                let noise = nn::normal(generator, (b, samples, z), mean.dtype(), mean.device())?;
                let z = nn::reparameterised(mean, raw, &noise, DEVIATION_FLOOR)?;
                Ok(Latents::Continuous(z)) // [B, S, Z]
            }
            Self::Categorical { log_q } => Ok(Latents::Index(super::sampled::index(log_q, samples, generator)?)),
        }
    }

    /// log q at `latents`, in nats. `[B, S]`
    pub(super) fn log_prob(&self, latents: &Latents) -> Result<Tensor> {
        match (self, latents) {
            (Self::Gaussian { mean, raw }, Latents::Continuous(z)) => {
                let (b, s, dims) = z.dims3()?;
                let rows = |parameter: &Tensor| -> Result<Tensor> {
                    let all = parameter.unsqueeze(1)?.broadcast_as((b, s, dims))?;
                    Ok(all.reshape((b * s, dims))?)
                };
                let z = z.reshape((b * s, dims))?;
                let values = nn::gaussian_log_density(&z, &rows(mean)?, &rows(raw)?, DEVIATION_FLOOR)?;
                Ok(values.reshape((b, s))?)
            }
            (Self::Categorical { log_q }, Latents::All) => Ok(log_q.clone()),
            (Self::Categorical { log_q }, Latents::Index(index)) => Ok(log_q.contiguous()?.gather(index, 1)?),
            _ => Err(latents.unexpected("latents of the kind of q(z|x)")),
        }
    }

    /// The same distribution, detached: no gradient reaches φ.
    pub(super) fn detached(&self) -> Self {
        match self {
            Self::Gaussian { mean, raw } => Self::Gaussian {
                mean: mean.detach(),
                raw: raw.detach(),
            },
            Self::Categorical { log_q } => Self::Categorical { log_q: log_q.detach() },
        }
    }
}
