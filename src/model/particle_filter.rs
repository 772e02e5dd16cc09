//! Particle filters in tensors, with gradients: unbiased estimates of p(o_1 … o_T) (Del Moral 2004) by particles that any
//! distribution moves.

use super::{Carried, Normal, Sequential, Span, TransitionRecursion};
use crate::data::repeated;
use crate::math::streams::Generator;
use crate::nn::{self, GaussianRecursion};
use crate::{Error, Result};
use candle_core::{D, DType, Tensor};
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::sync::Arc;

/// A distribution of one state after another: it moves particles, and step by step it is a distribution of paths.
pub trait Proposal: Debug + Send + Sync {
    /// q(x_t | x_{t−1}, …) of these steps, of which step 0 comes alone. `before` `[N, X]` are the states x_{t−1}, none at
    /// step 0; `prior` is p(x_t | x_{t−1}, u_{t−1}), where it is known. None stands for the prior itself.
    fn propose(&self, steps: Span, before: Option<&Tensor>, prior: Option<&Normal>) -> Result<Option<Normal>>;

    /// q(x_2 … x_T | x_1, …) as one operation, if it has that form; `transition` is that of the model, where it is known.
    fn recursion(&self, transition: Option<&TransitionRecursion>) -> Result<Option<GaussianRecursion>>;

    /// Whether it is a function of the prior of each step.
    fn needs_prior(&self) -> bool;

    /// Whether its steps depend neither on each other nor on the prior.
    fn is_independent(&self) -> bool;

    /// Whether states are the means alone: points without a density.
    fn is_point(&self) -> bool;

    /// The same, detached: no gradient reaches its parameters.
    fn detached(&self) -> Arc<dyn Proposal>;
}

/// The proposal of the bootstrap filter (Gordon, Salmond & Smith 1993): the model's own transition.
#[derive(Debug, Clone, Copy)]
pub struct Bootstrap;

impl Proposal for Bootstrap {
    fn propose(&self, _steps: Span, _before: Option<&Tensor>, _prior: Option<&Normal>) -> Result<Option<Normal>> {
        Ok(None)
    }

    fn recursion(&self, transition: Option<&TransitionRecursion>) -> Result<Option<GaussianRecursion>> {
        Ok(transition.map(|transition| transition.steps.clone()))
    }

    fn needs_prior(&self) -> bool {
        true
    }

    fn is_independent(&self) -> bool {
        false
    }

    fn is_point(&self) -> bool {
        false
    }

    fn detached(&self) -> Arc<dyn Proposal> {
        Arc::new(*self)
    }
}

/// How ancestors are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resampling {
    /// By one uniform number and equidistant marks on the cumulated weights (Kitagawa 1996): the offspring of a particle
    /// differs from its expectation by less than one.
    Systematic,
    /// Independently of each other.
    Multinomial,
}

impl Resampling {
    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Systematic => "systematic",
            Self::Multinomial => "multinomial",
        }
    }
}

/// Settings of a particle filter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Filter {
    /// N.
    pub particles: usize,
    /// A sequence is resampled after a step if its effective sample size is at most this share of N: 0 for never, 1 for
    /// after every step.
    pub resample_below: f64,
    /// How ancestors are drawn.
    pub resampling: Resampling,
}

/// What a particle filter found.
#[derive(Debug, Clone)]
pub struct Filtered {
    /// log p̂(o_1 … o_T) of each sequence, in nats; gradients flow through states and weights, not through the choice of
    /// ancestors. `[B]`
    pub log_estimate: Tensor,
    /// Σ over resamplings of log p(ancestors): its gradient is the score of the choice of ancestors. `[B]`
    pub log_ancestors: Option<Tensor>,
}

impl Filter {
    /// Filters the sequences of `model`; random numbers come from `generator`. With `with_score` the log-probabilities of
    /// the ancestors are kept.
    pub fn run(
        &self,
        model: &dyn Sequential,
        proposal: &dyn Proposal,
        with_score: bool,
        generator: &mut Generator,
    ) -> Result<Filtered> {
        let (b, steps) = model.steps().dims();
        let (n, x) = (self.particles, model.states());
        let first = model.initial()?;
        let (dtype, device) = (first.mean.dtype(), first.mean.device().clone());
        let even = -(n as f64).ln();
        let mut log_weights = Tensor::full(even, (b, n), &device)?.to_dtype(dtype)?;
        let mut total = Tensor::zeros(b, dtype, &device)?;
        let mut log_ancestors: Option<Tensor> = None;
        let mut carried: Option<Carried> = None;
        for t in 0..steps {
            let (prior, deterministic) = match &carried {
                None => (first.broadcast(b * n)?, None),
                Some(carried) => model.transition(t - 1, carried)?,
            };
            let q = proposal.propose(
                Span::step(t, n),
                carried.as_ref().map(|before| &before.state),
                Some(&prior),
            )?;
            let noise = nn::normal(&mut *generator, (b * n, x), dtype, &device)?;
            let state = q.as_ref().unwrap_or(&prior).draw(&noise)?;
            let now = match t {
                0 => model.begin(state)?,
                _ => Carried { state, deterministic },
            };
            let mut increment = model.emission(t, &now)?;
            if let Some(q) = &q {
                let ratio = (prior.log_prob(&now.state)? - q.log_prob(&now.state)?)?;
                let ratio = match &model.steps().mask {
                    Some(mask) => (ratio * repeated(&mask.narrow(1, t, 1)?.squeeze(1)?, n)?)?,
                    None => ratio,
                };
                increment = (increment + ratio)?;
            }
            log_weights = with_numbers(&(log_weights + increment.reshape((b, n))?)?)?;
            let chosen = match t + 1 < steps {
                true => self.resampled(&log_weights, generator)?,
                false => None,
            };
            let Some(Resampled {
                ancestors,
                is_resampled,
            }) = chosen
            else {
                carried = Some(now);
                continue;
            };
            let sum = nn::log_sum_exp(&log_weights)?; // [B]
            let mask = Tensor::from_vec(is_resampled, b, &device)?.to_dtype(dtype)?;
            total = (total + (&sum * &mask)?)?;
            if with_score {
                let own = log_weights.broadcast_sub(&sum.unsqueeze(1)?)?.flatten_all()?;
                let own = own.index_select(&ancestors, 0)?.reshape((b, n))?.sum(D::Minus1)?;
                let own = (own * &mask)?;
                log_ancestors = Some(match log_ancestors {
                    Some(before) => (before + own)?,
                    None => own,
                });
            }
            // Chosen, not multiplied: a weight of 0 has the logarithm −∞.
            let is_new = mask.unsqueeze(1)?.broadcast_as((b, n))?.ne(0.0)?;
            let equal = Tensor::full(even, (b, n), &device)?.to_dtype(dtype)?;
            log_weights = is_new.where_cond(&equal, &log_weights)?;
            carried = Some(Carried {
                state: now.state.index_select(&ancestors, 0)?,
                deterministic: match now.deterministic {
                    Some(h) => Some(h.index_select(&ancestors, 0)?),
                    None => None,
                },
            });
        }
        Ok(Filtered {
            log_estimate: (total + nn::log_sum_exp(&log_weights)?)?,
            log_ancestors,
        })
    }

    /// Ancestors of the sequences whose effective sample size is small; none if there is no such sequence.
    fn resampled(&self, log_weights: &Tensor, generator: &mut Generator) -> Result<Option<Resampled>> {
        if self.resample_below <= 0.0 {
            return Ok(None);
        }
        let (b, n) = log_weights.dims2()?;
        let rows: Vec<Vec<f64>> = log_weights.detach().to_dtype(DType::F64)?.to_vec2()?;
        let (mut ancestors, mut is_resampled) = (Vec::with_capacity(b * n), Vec::with_capacity(b));
        for (i, row) in rows.iter().enumerate() {
            let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            if !largest.is_finite() {
                return Err(Error::Other(format!(
                    "all particles of sequence {} lost their weight: raise the noise of the model, or use more particles",
                    i + 1
                )));
            }
            let weights: Vec<f64> = row.iter().map(|w| (w - largest).exp()).collect();
            let sum: f64 = weights.iter().sum();
            let squares: f64 = weights.iter().map(|w| w * w).sum();
            // Drawn for every sequence, so that none changes those after it.
            let marks: Vec<f64> = match self.resampling {
                Resampling::Systematic => {
                    let start: f64 = generator.random();
                    (0..n).map(|i| (i as f64 + start) / n as f64).collect()
                }
                Resampling::Multinomial => {
                    let mut marks: Vec<f64> = (0..n).map(|_| generator.random()).collect();
                    marks.sort_by(f64::total_cmp);
                    marks
                }
            };
            let is_small = sum * sum / squares <= self.resample_below * n as f64 * (1.0 + 1e-12);
            is_resampled.push(f64::from(u8::from(is_small)));
            let own = |ancestor: usize| (i * n + ancestor) as u32;
            match is_small {
                true => ancestors.extend(chosen(&weights, sum, &marks).map(own)),
                false => ancestors.extend((0..n).map(own)),
            }
        }
        if is_resampled.iter().all(|is_small| *is_small == 0.0) {
            return Ok(None);
        }
        Ok(Some(Resampled {
            ancestors: Tensor::from_vec(ancestors, b * n, log_weights.device())?,
            is_resampled,
        }))
    }
}

/// Logarithms of weights, with −∞ for those that are not a number: of a particle that left the range of its numbers, the
/// density is not known. An estimate without it errs to the low side.
fn with_numbers(log_weights: &Tensor) -> Result<Tensor> {
    let is_number = log_weights.eq(log_weights)?;
    let nothing = (log_weights.zeros_like()? + f64::NEG_INFINITY)?;
    Ok(is_number.where_cond(log_weights, &nothing)?)
}

struct Resampled {
    /// Rows of the particles that go on. `[B·N]`, u32
    ancestors: Tensor,
    /// 1 for sequences that were resampled. `[B]`
    is_resampled: Vec<f64>,
}

/// The particles in whose shares of the cumulated weights the sorted `marks` lie.
fn chosen(weights: &[f64], sum: f64, marks: &[f64]) -> impl Iterator<Item = usize> {
    let (mut ancestor, mut cumulated) = (0, weights[0]);
    marks.iter().map(move |mark| {
        while mark * sum > cumulated && ancestor + 1 < weights.len() {
            ancestor += 1;
            cumulated += weights[ancestor];
        }
        ancestor
    })
}
