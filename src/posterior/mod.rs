//! Posteriors: weighted samples or values of the latent z, given x.
//!
//! A posterior takes a [`Joint`] and returns weighted [`Draws`]. It can be stale (`refresh_every`: it uses an older θ)
//! and tempered (`temperature`: weights ∝ p(z|x)^{1/T}); both are options of every kind here. To add a posterior: one
//! file, one line in [`PosteriorConfig`]. A finite latent is enumerated. Trajectories have beliefs, exact or
//! approximate (`trajectory`).

pub mod amortised;
mod exact;
mod gaussian;
pub mod hamiltonian;
mod hard;
pub mod importance;
mod kalman;
mod particle;
mod recognition;
mod sampled;
mod schedule;
mod trajectory;

pub use amortised::{Fit, Phase};
pub use recognition::{POSTERIOR, Recognised};
pub use schedule::Schedule;

use crate::data::Dataset;
use crate::math::nonlinear::Approximation;
use crate::math::streams::{Generator, Streams};
use crate::model::{Joint, Latent, Latents};
use crate::nn::Parameters;
use crate::{Error, Result, error::Fault, nn};
use candle_core::{D, DType, Tensor};
use recognition::Recognition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Weighted samples of the latent of each row. Samples and weights carry no gradient, except those of a recognition
/// network trained through them.
#[derive(Debug, Clone)]
pub struct Draws {
    /// The samples.
    pub latents: Latents,
    /// Weights that sum to 1 over S. `[B, S]`
    pub weights: Tensor,
    /// log q of each sample, in nats, if q has a tractable density. `[B, S]`
    pub log_q: Option<Tensor>,
    /// The distribution that continuous samples were drawn from, if gradients flow through them.
    pub q: Option<Recognised>,
    /// Share of accepted proposals, if the samples come from Markov chains. `[B]`
    pub acceptance_rate: Option<Tensor>,
}

impl Draws {
    /// Samples from a distribution with this log q.
    pub fn new(latents: Latents, weights: Tensor, log_q: Tensor) -> Self {
        Self {
            latents,
            weights,
            log_q: Some(log_q),
            q: None,
            acceptance_rate: None,
        }
    }

    /// log q of each sample, in nats; an error if q has no tractable density. `[B, S]`
    pub fn log_q(&self) -> Result<&Tensor> {
        let unknown = || Error::Other("this posterior has no tractable log q".into());
        self.log_q.as_ref().ok_or_else(unknown)
    }

    /// Responsibilities of `components` values for each row; weights of equal draws are summed. `[B, K]`, row-major.
    pub fn responsibilities(&self, components: usize) -> Result<Vec<f64>> {
        let weights = self.weights.to_dtype(DType::F64)?;
        match &self.latents {
            Latents::All => Ok(weights.flatten_all()?.to_vec1()?),
            Latents::Index(index) => {
                let (rows, draws) = index.dims2()?;
                let (index, weights) = (
                    index.flatten_all()?.to_vec1::<u32>()?,
                    weights.flatten_all()?.to_vec1::<f64>()?,
                );
                let mut sums = vec![0.0; rows * components];
                for (at, (z, weight)) in index.iter().zip(&weights).enumerate() {
                    sums[at / draws * components + *z as usize] += weight;
                }
                Ok(sums)
            }
            Latents::Continuous(_) | Latents::Trajectories(_) => {
                Err(Error::Other("only a finite latent has responsibilities".into()))
            }
        }
    }

    /// `Σ_s w_s v_s` of values `[B, S]`; weights may carry a gradient. `[B]`
    pub fn expectation(&self, values: &Tensor) -> Result<Tensor> {
        match self.weights.track_op() {
            true => Ok((values * &self.weights)?.sum(D::Minus1)?),
            false => nn::weighted_sum(values, &self.weights),
        }
    }

    /// The same samples, detached: no gradient reaches φ.
    pub fn detached(&self) -> Self {
        Self {
            latents: self.latents.detached(),
            weights: self.weights.detach(),
            log_q: self.log_q.as_ref().map(Tensor::detach),
            q: self.q.as_ref().map(Recognised::detached),
            acceptance_rate: self.acceptance_rate.clone(),
        }
    }

    /// log q of each sample, in nats; the gradient flows only through the sample and not through the parameters of q
    /// (Roeder, Wu & Duvenaud 2017, section 3). `[B, S]`
    pub fn path_log_q(&self) -> Result<Tensor> {
        match &self.q {
            Some(q) => q.detached().log_prob(&self.latents),
            None => Ok(self.log_q()?.detach()),
        }
    }

    /// Σ_b Σ_s w_s log q(z_s), in nats.
    pub fn total_log_q(&self) -> Result<f64> {
        let sum = (&self.weights * self.log_q()?)?.sum_all()?;
        Ok(sum.to_dtype(DType::F64)?.to_scalar()?)
    }
}

/// Converts `log q(z|x)` of every value into draws.
trait FromFinite {
    /// `log_q` is normalised over K and carries no gradient. `[B, K]`
    fn draws(&self, log_q: &Tensor, generator: &mut Generator) -> Result<Draws>;
}

/// Options that every posterior has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Common {
    /// Optimiser steps (or sweeps) between refreshes: between them the posterior uses θ of the last refresh. With 1 it
    /// is always current; with large values gradient training is an EM with many gradient steps per E-step.
    #[schemars(range(min = 1))]
    pub refresh_every: u64,
    /// Weights are ∝ p(z|x)^(1/temperature): softer above 1, harder below 1, like `hard` towards 0. A number, or
    /// `{ from, to, steps }` for a geometric path.
    pub temperature: Schedule,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            refresh_every: 1,
            temperature: Schedule::Constant(1.0),
        }
    }
}

/// Keys of `kind = "exact"` and `kind = "hard"`: the common ones.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Plain {
    /// Options that every posterior has.
    #[serde(flatten)]
    pub common: Common,
}

/// The table `[posterior]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PosteriorConfig {
    /// The true posterior of the model: every z, weighted by p(z|x).
    Exact(Plain),
    /// Draws from the true posterior, equally weighted: an unbiased estimate of the exact one.
    Sampled(sampled::Sampled),
    /// The most likely z with weight 1 (hard EM), as in k-means.
    Hard(Plain),
    /// An approximate posterior q_φ(z|x) by a network, trained beside the model.
    Amortised(amortised::Amortised),
    /// Weighted draws from a proposal: close to the true posterior if there are many.
    Importance(importance::Importance),
    /// Hamiltonian Monte Carlo: Markov chains that converge to the true posterior. Slow; a reference for small models.
    Hamiltonian(hamiltonian::Hamiltonian),
    /// For trajectories, filtering beliefs p(x_t | o_1 … o_t), independent across steps.
    Filter(Plain),
    /// For trajectories, the Gaussian smoother of the model linearised at its own means (extended Kalman filter).
    ExtendedKalman(Plain),
    /// For trajectories, the Gaussian smoother that propagates sigma points through the model (unscented Kalman
    /// filter).
    UnscentedKalman(kalman::UnscentedKalman),
    /// For trajectories, draws by particles: a bootstrap filter, then backward simulation.
    Particle(particle::Particle),
}

impl Default for PosteriorConfig {
    fn default() -> Self {
        Self::Exact(Plain::default())
    }
}

impl PosteriorConfig {
    /// The options that every posterior has.
    pub fn common(&self) -> &Common {
        match self {
            Self::Exact(plain) | Self::Hard(plain) | Self::Filter(plain) | Self::ExtendedKalman(plain) => &plain.common,
            Self::UnscentedKalman(unscented) => &unscented.common,
            Self::Particle(particle) => &particle.common,
            Self::Sampled(sampled) => &sampled.common,
            Self::Amortised(amortised) => &amortised.common,
            Self::Importance(importance) => &importance.common,
            Self::Hamiltonian(hamiltonian) => &hamiltonian.common,
        }
    }

    /// The objective of the recognition network and the source of its pairs; none without a network.
    pub fn fit(&self) -> Option<(Fit, Phase)> {
        match self {
            Self::Amortised(amortised) => Some((amortised.fit, Phase::Sleep)),
            Self::Importance(importance) => importance.recognition().map(|_| (Fit::ForwardKl, importance.phase)),
            _ => None,
        }
    }

    fn recognition(&self) -> Option<Recognition<'_>> {
        match self {
            Self::Amortised(amortised) => Some(amortised.recognition()),
            Self::Importance(importance) => importance.recognition(),
            _ => None,
        }
    }

    /// Adds initial values of φ for a model with this latent and rows like `train`, if there is a network.
    pub fn initial(
        &self,
        latent: Latent,
        train: &Dataset,
        streams: &Streams,
        parameters: &mut Parameters,
    ) -> Result<()> {
        let Some(recognition) = self.recognition() else {
            return Ok(());
        };
        let (dtype, device) = (parameters.dtype(), parameters.device());
        let stream = streams.named("initial/posterior");
        recognition.initial(latent, train, parameters, (dtype, &device), &stream)
    }

    /// `log q_φ(z|x)` at detached latents, with a gradient for φ; an error without a network. `[B, S]`
    pub fn log_q(&self, joint: &dyn Joint, phi: &Parameters, latents: &Latents) -> Result<Tensor> {
        amortised::log_q(self.recognition(), joint, phi, &latents.detached())
    }

    /// `samples` draws for each row from the network if there is one, else from p(z), equally weighted, with their log
    /// q, for bounds of log p(x). They carry no gradient.
    pub fn proposal(
        &self,
        joint: &dyn Joint,
        phi: &Parameters,
        samples: usize,
        generator: &mut Generator,
    ) -> Result<Draws> {
        let (latents, log_q) = importance::proposed(self.recognition(), joint, phi, samples, generator)?;
        let log_q = log_q.detach();
        let weights = Tensor::full(1.0 / samples as f64, log_q.shape(), log_q.device())?.to_dtype(log_q.dtype())?;
        Ok(Draws::new(latents, weights, log_q))
    }

    /// Whether this is the true posterior of the current θ, not tempered.
    pub fn is_exact_and_fresh(&self) -> bool {
        matches!(self, Self::Exact(_)) && *self.common() == Common::default()
    }

    /// Whether its samples depend on a stream of random numbers.
    pub fn is_drawn(&self) -> bool {
        !matches!(
            self,
            Self::Exact(_) | Self::Hard(_) | Self::Filter(_) | Self::ExtendedKalman(_) | Self::UnscentedKalman(_)
        )
    }

    /// The faults of this table for a model whose latent is finite or not.
    pub fn check(&self, finite_latent: bool) -> Vec<Fault> {
        let mut faults = self.common().temperature.check("temperature");
        if let Self::Amortised(amortised) = self {
            if amortised.common != Common::default() {
                let key = match amortised.common.refresh_every {
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
            if amortised.fit != Fit::ForwardKl && !amortised.has_gradient(finite_latent) {
                faults.push(Fault::new(
                    "samples",
                    "drawn values of a finite latent carry no gradient for the network",
                    "no such key, so that every value is weighted by q",
                    "remove it, or set `fit = \"forward_kl\"`",
                ));
            }
        }
        if let Self::Importance(importance) = self
            && importance.proposal == importance::Proposal::Prior
        {
            let defaults = importance::Importance::default();
            let given = [
                ("phase", importance.phase != defaults.phase),
                ("hidden", importance.hidden != defaults.hidden),
                ("activation", importance.activation != defaults.activation),
            ];
            let ignored = given.into_iter().filter(|(_, given)| *given);
            faults.extend(ignored.map(|(key, _)| {
                let message = format!("`{key}` is for a recognition network, and draws from p(z) do not use one");
                Fault::new(key, message, "`proposal = \"amortised\"` beside it", "remove it")
            }));
        }
        if let Self::UnscentedKalman(unscented) = self {
            faults.extend(unscented.check());
        }
        faults
    }

    /// How it propagates Gaussians through a model, if it is an approximate Kalman smoother.
    fn approximation(&self) -> Option<Approximation> {
        match self {
            Self::ExtendedKalman(_) => Some(Approximation::Linearised),
            Self::UnscentedKalman(unscented) => Some(unscented.approximation()),
            _ => None,
        }
    }

    /// Whether it approximates `log p(x)`, as approximate Kalman smoothers do.
    pub fn approximates_log_prob(&self) -> bool {
        self.approximation().is_some()
    }

    /// The posterior's approximation of `log p(x)`, in nats; an error if it has none. `[B]`
    pub fn approximate_log_prob(&self, joint: &dyn Joint) -> Result<Tensor> {
        trajectory::approximate_log_prob(self, joint)
    }

    /// Samples for the rows of `joint`, at `step` (for the temperature), drawn by `generator`; a recognition network
    /// reads its φ from `phi`. If the posterior is stale, `joint` has the older θ.
    pub fn draws(&self, joint: &dyn Joint, phi: &Parameters, step: u64, generator: &mut Generator) -> Result<Draws> {
        if joint.dynamics().is_some() {
            return trajectory::draws(self, joint, generator);
        }
        let (dtype, device) = (joint.observed().dtype(), joint.observed().device());
        match self {
            Self::Amortised(amortised) => return amortised.draws(joint, phi, generator),
            Self::Importance(importance) => {
                return importance.draws(joint, phi, importance.common.temperature.at(step), generator);
            }
            Self::Hamiltonian(hamiltonian) => {
                return hamiltonian.draws(joint, hamiltonian.common.temperature.at(step), generator);
            }
            _ => {}
        }
        if let Some(posterior) = joint.gaussian_posterior()? {
            return gaussian::draws(self, posterior, (dtype, device), generator);
        }
        let log_joint = joint.log_joint(&Latents::All)?.detach();
        let temperature = self.common().temperature.at(step);
        let log_q = match temperature {
            1.0 => nn::log_softmax(&log_joint)?,
            t => nn::log_softmax(&(log_joint / t)?)?,
        };
        let posterior: &dyn FromFinite = match self {
            Self::Exact(_) => &exact::Exact,
            Self::Sampled(sampled) => sampled,
            Self::Hard(_) => &hard::Hard,
            _ => return Err(trajectory::no_trajectories()),
        };
        posterior.draws(&log_q, generator)
    }
}
