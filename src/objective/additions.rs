//! Additions to the evidence lower bound of a model of sequences: terms that are 0 in the bound itself, each named by its
//! key, so that a comparison says what it is worth.
//!
//! | key | subtracted, in nats per sequence |
//! |---|---|
//! | `overshooting` | weight / (D − 1) Σ_{d=2}^{D} Σ_t KL(q(x_{t+d} given …) ‖ p(x_{t+d} given x_t, u)), q fixed (Hafner et al. 2019, equation 7) |
//! | `consistency` | weight Σ_t KL(p(x_{t+1} given x_t, u_t) ‖ q(x_{t+1} given …)) (Levine et al. 2020, section 4) |
//! | `curvature` | weight Σ_t E ½ ‖(m(x_t + η) + m(x_t − η)) / 2 − m(x_t)‖² / σ², η ~ N(0, s²) (the idea of Levine et al. 2020, section 4) |
//! | `free_run` | −weight Σ_t E log p(o_t given x̄_t), x̄_1 ~ q, x̄_{t+1} = m(x̄_t): simulation from the first state |
//!
//! Here m and σ are the mean and the deviation of p(x_{t+1} | x_t, u_t). The curvature takes a second difference of m in place
//! of its derivative, so that it is 0 where m is linear between x_t − η and x_t + η.
//!
//! All use the Gaussians of q and of the transition step by step along the drawn paths; divergences are in closed form.

use super::Setting;
use crate::Result;
use crate::error::{Fault, provided};
use crate::math::streams::Generator;
use crate::model::{Carried, Joint, Latents, Normal, Proposal, Sequential, Span};
use crate::nn;
use crate::posterior::Draws;
use candle_core::{D, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The keys of the additions.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Additions {
    /// Of models of sequences: latent overshooting, KL(q ‖ p) of states predicted from up to `steps` steps before (Hafner et
    /// al. 2019). q gets no gradient from it. None without this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overshooting: Option<Overshooting>,
    /// Of models of sequences: the weight of KL(p(x_{t+1} | x_t, u_t) ‖ q(x_{t+1} | …)), which lets q expect what the model
    /// predicts (Levine et al. 2020).
    #[serde(skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0.0, max = 1e6))]
    pub consistency: f64,
    /// Of models of sequences: a penalty on the curvature of the transition's mean (Levine et al. 2020), which lets planners
    /// by linearisation work. None without this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curvature: Option<Curvature>,
    /// Of models of sequences: the weight of −Σ_t log p(o_t | x̄_t) in free run: x̄_1 is drawn from q, and every later x̄_t is the
    /// mean of p(x_t | x̄_{t−1}, u_{t−1}), without noise. It trains a model to simulate from inputs alone, as the
    /// output-error method of system identification does (Ljung 1999, section 10.1).
    #[serde(skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0.0, max = 1e6))]
    pub free_run: f64,
}

/// Keys of `overshooting`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Overshooting {
    /// D: the largest distance of prediction, in steps.
    #[schemars(range(min = 2, max = 1000))]
    pub steps: usize,
    /// The weight.
    #[schemars(range(min = 1e-12, max = 1e6))]
    pub weight: f64,
}

impl Default for Overshooting {
    fn default() -> Self {
        Self { steps: 3, weight: 1.0 }
    }
}

/// Keys of `curvature`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Curvature {
    /// The weight.
    #[schemars(range(min = 1e-12, max = 1e6))]
    pub weight: f64,
    /// s: the standard deviation of the shifts η, in the units of the states.
    #[schemars(range(min = 1e-6, max = 1e3))]
    pub deviation: f64,
}

impl Default for Curvature {
    fn default() -> Self {
        Self {
            weight: 1.0,
            deviation: 0.3,
        }
    }
}

pub(super) fn is_zero(weight: &f64) -> bool {
    *weight == 0.0
}

impl Additions {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Keys that would change nothing in this setting.
    pub fn unused(&self, setting: &Setting) -> Vec<Fault> {
        let keys = [
            ("overshooting", self.overshooting.is_some()),
            ("consistency", self.consistency > 0.0),
            ("curvature", self.curvature.is_some()),
            ("free_run", self.free_run > 0.0),
        ];
        let given = keys.into_iter().filter(|(_, is_given)| *is_given);
        given.filter_map(|(key, _)| of_paths(key, setting)).collect()
    }

    /// What is subtracted from the bound of each sequence. `[B]`
    pub(super) fn penalty(&self, steps: &StepByStep) -> Result<Tensor> {
        let mut terms = Vec::new();
        if let Some(keys) = &self.overshooting {
            terms.push((steps.overshooting(keys.steps)? * keys.weight)?);
        }
        if self.consistency > 0.0 {
            terms.push((steps.consistency()? * self.consistency)?);
        }
        if let Some(keys) = &self.curvature {
            terms.push((steps.curvature(keys.deviation)? * keys.weight)?);
        }
        if self.free_run > 0.0 {
            terms.push((steps.free_run()? * -self.free_run)?);
        }
        let mut terms = terms.into_iter();
        let first = provided(terms.next(), "an addition")?;
        let sum = terms.try_fold(first, |sum, term| Ok::<_, crate::Error>((sum + term)?))?;
        Ok(sum.mean(D::Minus1)?)
    }
}

/// The fault of a key that is for paths drawn by a network, in this setting.
pub(super) fn of_paths(key: &str, setting: &Setting) -> Option<Fault> {
    let acts = "`neural_ssm` with `posterior.kind = \"amortised\"`";
    let reason = match (setting.model.paths, setting.fit) {
        (true, Some(_)) if setting.is_stepwise => return None,
        (true, Some(_)) => "this family gives whole paths and no distribution of one state after another",
        (true, None) => "the posterior is no network, whose steps it compares with those of the model",
        (false, _) => "this model has no paths of states",
    };
    Some(Fault::unused(key, reason, acts))
}

/// q and the model step by step along drawn paths.
pub(super) struct StepByStep {
    model: Arc<dyn Sequential>,
    proposal: Arc<dyn Proposal>,
    generator: Generator,
    /// `[B, S, T, X]`
    paths: Tensor,
    /// p(x_1), then p(x_{t+1} | x_t, u_t): rows by sequence, by sample, by step. N = B·S·T
    prior: Normal,
}

impl StepByStep {
    /// Of the paths of `draws`.
    pub fn new(joint: &dyn Joint, draws: &Draws) -> Result<Self> {
        let model = provided(joint.sequential(), "paths of states")?;
        let stepwise = provided(draws.stepwise.clone(), "a distribution of one state after another")?;
        let Latents::Paths(paths) = &draws.latents else {
            return Err(draws.latents.unexpected("paths of states"));
        };
        let (b, s, t, x) = paths.dims4()?;
        let first = model.initial()?.broadcast(b * s)?;
        let later = match t {
            1 => None,
            _ => Some(model.transitions_along(&paths.contiguous()?.reshape((b * s, t, x))?)?),
        };
        let joined = |first: &Tensor, later: Option<&Tensor>| -> Result<Tensor> {
            let first = first.reshape((b * s, 1, x))?;
            let parts = match later {
                None => first,
                Some(later) => Tensor::cat(&[first, later.reshape((b * s, t - 1, x))?], 1)?,
            };
            Ok(parts.reshape((b * s * t, x))?)
        };
        Ok(Self {
            prior: Normal {
                mean: joined(&first.mean, later.as_ref().map(|normal| &normal.mean))?,
                raw: joined(&first.raw, later.as_ref().map(|normal| &normal.raw))?,
                floor: first.floor,
            },
            paths: paths.clone(),
            proposal: stepwise.proposal,
            generator: stepwise.generator,
            model,
        })
    }

    /// q of step 0, or of the steps `from..from + count` after it, along the paths.
    fn proposed(&self, from: usize, count: usize) -> Result<Normal> {
        let (_, samples, t, _) = self.paths.dims4()?;
        let prior = part(&self.prior, t, from, count)?;
        let before = match from {
            0 => None,
            _ => Some(narrowed(&self.model.carried(&self.paths)?, t, from - 1, count)?.state),
        };
        let steps = Span { from, count, samples };
        let own = self.proposal.propose(steps, before.as_ref(), Some(&prior))?;
        let own = own.unwrap_or_else(|| prior.clone()).broadcast(prior.mean.dim(0)?)?;
        // The floor of q may differ from that of the prior, which stands for it where the family uses it.
        Ok(Normal {
            raw: own.deviation()?.log()?,
            mean: own.mean,
            floor: 0.0,
        })
    }

    /// q of every step along the paths. N = B·S·T
    fn posterior(&self) -> Result<Normal> {
        let (b, s, t, x) = self.paths.dims4()?;
        let mut parts = vec![self.proposed(0, 1)?];
        if t > 1 {
            parts.push(self.proposed(1, t - 1)?);
        }
        let joined = |of: fn(&Normal) -> &Tensor| -> Result<Tensor> {
            let parts: Vec<Tensor> = parts
                .iter()
                .map(|part| of(part).reshape((b * s, (), x)))
                .collect::<candle_core::Result<_>>()?;
            Ok(Tensor::cat(&parts, 1)?.reshape((b * s * t, x))?)
        };
        Ok(Normal {
            mean: joined(|normal| &normal.mean)?,
            raw: joined(|normal| &normal.raw)?,
            floor: 0.0,
        })
    }

    /// KL(q(x_t | …) ‖ p(x_t | x_{t−1}, u_{t−1})) of every step, 0 beyond the end of a sequence. `[B, S, T]`
    pub fn divergences(&self) -> Result<Tensor> {
        self.of_steps(&self.posterior()?.divergence(&self.prior)?, 0)
    }

    /// The values of the steps from `from`, 0 beyond the end of a sequence. `[N]` → `[B, S, T − from]`
    fn of_steps(&self, values: &Tensor, from: usize) -> Result<Tensor> {
        let (b, s, t, _) = self.paths.dims4()?;
        let values = values.reshape((b, s, t - from))?;
        Ok(match &self.model.steps().mask {
            Some(mask) => values.broadcast_mul(&mask.narrow(1, from, t - from)?.unsqueeze(1)?)?,
            None => values,
        })
    }

    /// The steps from `from` of rows `[B·S·T, X]` of a Gaussian.
    fn later(&self, normal: &Normal, from: usize) -> Result<Normal> {
        let t = self.paths.dim(2)?;
        part(normal, t, from, t - from)
    }

    /// Standard normal numbers like `like`.
    fn noise(generator: &mut Generator, like: &Tensor) -> Result<Tensor> {
        nn::normal(generator, like.shape(), like.dtype(), like.device())
    }

    /// `[B, S]`
    fn overshooting(&self, longest: usize) -> Result<Tensor> {
        let (_, samples, t, _) = self.paths.dims4()?;
        let q = self.posterior()?.detached();
        let generator = &mut self.generator.clone();
        let mut sum = self.paths.narrow(3, 0, 1)?.sum((2, 3))?.zeros_like()?;
        let mut carried = self.model.carried(&self.paths)?;
        for distance in 1..=longest.min(t - 1) {
            // From the states of steps distance − 1 … T − 2, each predicted from distance − 1 steps before.
            let from = distance - 1;
            let count = t - distance;
            let before = narrowed(&carried, t - from, 0, count)?;
            let (next, deterministic) = self.model.transitions(Span { from, count, samples }, &before)?;
            if distance > 1 {
                let divergence = self.later(&q, distance)?.divergence(&next)?;
                sum = (sum + self.of_steps(&divergence, distance)?.sum(D::Minus1)?)?;
            }
            carried = Carried {
                state: next.draw(&Self::noise(generator, &next.mean)?)?,
                deterministic,
            };
        }
        Ok((sum / (longest - 1) as f64)?)
    }

    /// `[B, S]`
    fn consistency(&self) -> Result<Tensor> {
        if self.paths.dim(2)? == 1 {
            return Ok(self.paths.sum((2, 3))?.zeros_like()?);
        }
        let [prior, q] = [self.later(&self.prior, 1)?, self.later(&self.posterior()?, 1)?];
        Ok(self.of_steps(&prior.divergence(&q)?, 1)?.sum(D::Minus1)?)
    }

    /// Σ_t log p(o_t | x̄_t) of the simulation from each path's first state. `[B, S]`
    fn free_run(&self) -> Result<Tensor> {
        let (b, s, t, x) = self.paths.dims4()?;
        let first = self.paths.narrow(2, 0, 1)?.reshape((b * s, x))?;
        let mut carried = self.model.begin(first)?;
        let mut sum = self.model.emission(0, &carried)?;
        for step in 1..t {
            let (next, deterministic) = self.model.transition(step - 1, &carried)?;
            carried = Carried {
                state: next.mean,
                deterministic,
            };
            sum = (sum + self.model.emission(step, &carried)?)?;
        }
        Ok(sum.reshape((b, s))?)
    }

    /// `[B, S]`
    fn curvature(&self, deviation: f64) -> Result<Tensor> {
        let (_, samples, t, _) = self.paths.dims4()?;
        if t == 1 {
            return Ok(self.paths.sum((2, 3))?.zeros_like()?);
        }
        let before = narrowed(&self.model.carried(&self.paths)?, t, 0, t - 1)?;
        let shift = (Self::noise(&mut self.generator.clone(), &before.state)? * deviation)?;
        let mean = |state: Tensor| -> Result<Tensor> {
            let moved = Carried {
                state,
                deterministic: before.deterministic.clone(),
            };
            let steps = Span {
                from: 0,
                count: t - 1,
                samples,
            };
            Ok(self.model.transitions(steps, &moved)?.0.mean)
        };
        let middle = self.later(&self.prior, 1)?;
        let around = ((mean((&before.state + &shift)?)? + mean((&before.state - &shift)?)?)? * 0.5)?;
        let bend = ((around - &middle.mean)? / middle.deviation()?)?;
        let half = (bend.sqr()?.sum(D::Minus1)? * 0.5)?;
        Ok(self.of_steps(&half, 1)?.sum(D::Minus1)?)
    }
}

/// Steps `from..from + count` of rows `[N·steps, D]` of paths of `steps` steps. `[N·count, D]`
fn rows(tensor: &Tensor, steps: usize, from: usize, count: usize) -> Result<Tensor> {
    let width = tensor.dim(1)?;
    let part = tensor.reshape(((), steps, width))?.narrow(1, from, count)?;
    Ok(part.contiguous()?.reshape(((), width))?)
}

/// The same of a Gaussian.
fn part(normal: &Normal, steps: usize, from: usize, count: usize) -> Result<Normal> {
    Ok(Normal {
        mean: rows(&normal.mean, steps, from, count)?,
        raw: rows(&normal.raw, steps, from, count)?,
        floor: normal.floor,
    })
}

/// The same of what is carried.
fn narrowed(carried: &Carried, steps: usize, from: usize, count: usize) -> Result<Carried> {
    let deterministic = carried.deterministic.as_ref();
    Ok(Carried {
        state: rows(&carried.state, steps, from, count)?,
        deterministic: deterministic.map(|h| rows(h, steps, from, count)).transpose()?,
    })
}
