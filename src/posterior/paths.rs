//! A distribution of paths, given by that of one state after another.

use super::Distribution;
use crate::Result;
use crate::math::streams::Generator;
use crate::model::{Carried, Latents, Normal, Proposal, Sequential, Span};
use crate::nn::{self, GaussianRecursion};
use candle_core::{D, Tensor};
use std::sync::Arc;

/// Π_t q(x_t | x_{t−1}, …) of the sequences of a model.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    /// The sequences, and the transition that q may use.
    pub model: Arc<dyn Sequential>,
    /// q of each step.
    pub proposal: Arc<dyn Proposal>,
}

/// Paths `[B·S, T, X]`, and the log-density of each step, if it was asked for. `[B·S, T]`
struct Drawn {
    paths: Tensor,
    log_densities: Option<Tensor>,
}

impl Paths {
    /// q of the first step for S samples. `[B·S, X]`
    fn first(&self, samples: usize) -> Result<Normal> {
        let rows = self.model.steps().dims().0 * samples;
        let prior = || self.model.initial()?.broadcast(rows);
        let prior = self.proposal.needs_prior().then(prior).transpose()?;
        let q = self.proposal.propose(Span::step(0, samples), None, prior.as_ref())?;
        crate::error::provided(q.or(prior), "the first state of the model")
    }

    /// q of the steps after the first as one operation, if it has that form.
    fn recursion(&self) -> Result<Option<GaussianRecursion>> {
        if self.model.steps().dims().1 < 2 {
            return Ok(None);
        }
        if !self.proposal.needs_prior() {
            return self.proposal.recursion(None);
        }
        match self.model.recursion()? {
            Some(transition) => self.proposal.recursion(Some(&transition)),
            None => Ok(None),
        }
    }

    /// S paths for each sequence. Whatever draws them takes the same numbers from the generator.
    fn drawn(&self, samples: usize, generator: &mut Generator, with_density: bool) -> Result<Drawn> {
        let (b, steps) = self.model.steps().dims();
        let (rows, x) = (b * samples, self.model.states());
        let like = self.model.features();
        let mut noise = |steps: usize| nn::normal(&mut *generator, (steps, rows, x), like.dtype(), like.device());
        if self.proposal.is_independent() {
            let all = Span {
                from: 0,
                count: steps,
                samples,
            };
            let q = crate::error::provided(self.proposal.propose(all, None, None)?, "independent steps")?;
            let paths = match self.proposal.is_point() {
                true => q.mean.clone(),
                false => q.draw(&noise(steps)?.reshape((rows * steps, x))?)?,
            };
            let is_asked = with_density && !self.proposal.is_point();
            let density = || -> Result<Tensor> { Ok(q.log_prob(&paths)?.reshape((rows, steps))?) };
            return Ok(Drawn {
                paths: paths.reshape((rows, steps, x))?,
                log_densities: is_asked.then(density).transpose()?,
            });
        }
        let q = self.first(samples)?;
        let first = q.draw(&noise(1)?.squeeze(0)?)?;
        let density = |q: &Normal, state: &Tensor| with_density.then(|| q.log_prob(state)).transpose();
        let mut log_densities: Vec<Tensor> = density(&q, &first)?.into_iter().collect();
        if let Some(recursion) = self.recursion()? {
            let later = recursion.paths(&first, &noise(steps - 1)?)?;
            let log_densities = log_densities.pop().map(|first| {
                let all = [&first.unsqueeze(1)?, &later.log_densities];
                Tensor::cat(&all, 1)
            });
            return Ok(Drawn {
                paths: Tensor::cat(&[&first.unsqueeze(1)?, &later.states], 1)?,
                log_densities: log_densities.transpose()?,
            });
        }
        let mut path = vec![first.clone()];
        let mut carried = match self.proposal.needs_prior() {
            true => self.model.begin(first)?,
            false => Carried {
                state: first,
                deterministic: None,
            },
        };
        for t in 1..steps {
            let prior = || self.model.transition(t - 1, &carried);
            let (prior, deterministic) = self.proposal.needs_prior().then(prior).transpose()?.unzip();
            let q = self
                .proposal
                .propose(Span::step(t, samples), Some(&carried.state), prior.as_ref())?;
            let q = crate::error::provided(q.or(prior), "the transition of the model")?;
            let state = q.draw(&noise(1)?.squeeze(0)?)?;
            log_densities.extend(density(&q, &state)?);
            path.push(state.clone());
            carried = Carried {
                state,
                deterministic: deterministic.flatten(),
            };
        }
        Ok(Drawn {
            paths: Tensor::stack(&path, 1)?,
            log_densities: with_density.then(|| Tensor::stack(&log_densities, 1)).transpose()?,
        })
    }

    /// log q of every step at paths `[B·S, T, X]`. `[B·S, T]`
    fn log_densities(&self, paths: &Tensor) -> Result<Tensor> {
        let (b, steps) = self.model.steps().dims();
        let (rows, _, _) = paths.dims3()?;
        let samples = rows / b;
        let states = |from: usize, count: usize| paths.narrow(1, from, count)?.contiguous()?.flatten_to(1);
        if self.proposal.is_independent() {
            let all = Span {
                from: 0,
                count: steps,
                samples,
            };
            let q = crate::error::provided(self.proposal.propose(all, None, None)?, "independent steps")?;
            return Ok(q.log_prob(&states(0, steps)?)?.reshape((rows, steps))?);
        }
        let first = self.first(samples)?.log_prob(&states(0, 1)?)?.unsqueeze(1)?;
        if steps < 2 {
            return Ok(first);
        }
        let prior = || self.model.transitions_along(paths);
        let prior = self.proposal.needs_prior().then(prior).transpose()?;
        let later = Span {
            from: 1,
            count: steps - 1,
            samples,
        };
        let q = self
            .proposal
            .propose(later, Some(&states(0, steps - 1)?), prior.as_ref())?;
        let q = crate::error::provided(q.or(prior), "the transition of the model")?;
        let later = q.log_prob(&states(1, steps - 1)?)?.reshape((rows, steps - 1))?;
        Ok(Tensor::cat(&[first, later], 1)?)
    }

    /// Sums over the steps of each sequence: `[B·S, T] → [B, S]`.
    fn total(&self, values: &Tensor, samples: usize) -> Result<Tensor> {
        let (b, steps) = self.model.steps().dims();
        let values = values.reshape((b, samples, steps))?;
        let values = match &self.model.steps().mask {
            Some(mask) => values.broadcast_mul(&mask.unsqueeze(1)?)?,
            None => values,
        };
        Ok(values.sum(D::Minus1)?)
    }

    fn latents(&self, paths: &Tensor, samples: usize) -> Result<Latents> {
        let (b, steps) = self.model.steps().dims();
        Ok(Latents::Paths(paths.reshape((
            b,
            samples,
            steps,
            self.model.states(),
        ))?))
    }
}

impl Distribution for Paths {
    fn draw(&self, samples: usize, generator: &mut Generator) -> Result<Latents> {
        self.latents(&self.drawn(samples, generator, false)?.paths, samples)
    }

    fn log_prob(&self, latents: &Latents) -> Result<Option<Tensor>> {
        let Latents::Paths(paths) = latents else {
            return Err(latents.unexpected("paths of states"));
        };
        if self.proposal.is_point() {
            return Ok(None);
        }
        let (b, s, steps, x) = paths.dims4()?;
        let values = self.log_densities(&paths.contiguous()?.reshape((b * s, steps, x))?)?;
        self.total(&values, s).map(Some)
    }

    fn draw_with_log_prob(&self, samples: usize, generator: &mut Generator) -> Result<(Latents, Option<Tensor>)> {
        let drawn = self.drawn(samples, generator, true)?;
        let total = |values| self.total(&values, samples);
        let log_q = drawn.log_densities.map(total).transpose()?;
        Ok((self.latents(&drawn.paths, samples)?, log_q))
    }

    /// Independent steps have means of their own; those of a chain have no closed form.
    fn state_means(&self) -> Result<Option<Tensor>> {
        if !self.proposal.is_independent() {
            return Ok(None);
        }
        let (b, steps) = self.model.steps().dims();
        let q = self.proposal.propose(
            Span {
                from: 0,
                count: steps,
                samples: 1,
            },
            None,
            None,
        )?;
        let q = crate::error::provided(q, "independent steps")?;
        Ok(Some(q.mean.reshape((b, steps, self.model.states()))?))
    }

    fn detached(&self) -> Arc<dyn Distribution> {
        Arc::new(Self {
            model: self.model.clone(),
            proposal: self.proposal.detached(),
        })
    }

    fn proposal(&self) -> Option<Arc<dyn Proposal>> {
        (!self.proposal.is_point()).then(|| self.proposal.clone())
    }
}
