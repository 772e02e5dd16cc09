//! A distribution of paths, given by that of one state after another.

use super::Distribution;
use crate::Result;
use crate::data::repeated;
use crate::math::streams::Generator;
use crate::model::{Carried, Latents, Normal, Proposal, Sequential};
use crate::nn;
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

impl Paths {
    /// Visits the steps in order with their Gaussian for `rows` rows; `next` says the state `[B·S, X]` of each step.
    fn visit(&self, rows: usize, mut next: impl FnMut(usize, Normal) -> Result<Tensor>) -> Result<()> {
        let mut carried: Option<Carried> = None;
        for t in 0..self.model.steps().dims().1 {
            let prior = || match &carried {
                None => Ok((self.model.initial()?.broadcast(rows)?, None)),
                Some(carried) => self.model.transition(t - 1, carried),
            };
            let (prior, deterministic) = self.proposal.needs_prior().then(prior).transpose()?.unzip();
            let q = self.proposal.propose(t, rows, carried.as_ref(), prior.as_ref())?;
            let q = crate::error::provided(q.or(prior), "the transition of the model")?;
            let state = next(t, q)?;
            carried = Some(match (t, self.proposal.needs_prior()) {
                (0, true) => self.model.begin(state)?,
                _ => Carried {
                    state,
                    deterministic: deterministic.flatten(),
                },
            });
        }
        Ok(())
    }

    /// Parameters of independent steps `[B·T, X]` for S samples: `[B, S, T, X]`, as a view.
    fn wide(&self, parameter: &Tensor, samples: usize) -> Result<Tensor> {
        let (b, steps) = self.model.steps().dims();
        let x = parameter.dim(D::Minus1)?;
        let all = repeated(&parameter.reshape((b, steps, x))?, samples)?;
        Ok(all.reshape((b * samples * steps, x))?)
    }

    /// Independent steps for S samples. `[B·S·T, X]`
    fn independent(&self, samples: usize) -> Result<Option<Normal>> {
        let Some(all) = self.proposal.all()? else {
            return Ok(None);
        };
        Ok(Some(Normal {
            mean: self.wide(&all.mean, samples)?,
            raw: self.wide(&all.raw, samples)?,
            floor: all.floor,
        }))
    }
}

impl Distribution for Paths {
    fn draw(&self, samples: usize, generator: &mut Generator) -> Result<Latents> {
        let (b, steps) = self.model.steps().dims();
        let (rows, x) = (b * samples, self.model.states());
        let shape = (b, samples, steps, x);
        let like = self.model.features();
        let mut noise = |rows| nn::normal(&mut *generator, (rows, x), like.dtype(), like.device());
        if let Some(all) = self.independent(samples)? {
            let draws = match self.proposal.is_point() {
                true => all.mean,
                false => all.draw(&noise(rows * steps)?)?,
            };
            return Ok(Latents::Paths(draws.reshape(shape)?));
        }
        let mut path = Vec::with_capacity(steps);
        self.visit(rows, |_, q| {
            let state = q.draw(&noise(rows)?)?;
            path.push(state.clone());
            Ok(state)
        })?;
        Ok(Latents::Paths(Tensor::stack(&path, 1)?.reshape(shape)?)) // [B·S, T, X] → [B, S, T, X]
    }

    fn log_prob(&self, latents: &Latents) -> Result<Option<Tensor>> {
        let Latents::Paths(paths) = latents else {
            return Err(latents.unexpected("paths of states"));
        };
        if self.proposal.is_point() {
            return Ok(None);
        }
        let (b, s, steps, x) = paths.dims4()?;
        let values = match self.independent(s)? {
            Some(all) => all.log_prob(&paths.contiguous()?.reshape((b * s * steps, x))?)?,
            None => {
                let mut logs = Vec::with_capacity(steps);
                self.visit(b * s, |t, q| {
                    let state = paths.narrow(2, t, 1)?.contiguous()?.reshape((b * s, x))?;
                    logs.push(q.log_prob(&state)?);
                    Ok(state)
                })?;
                Tensor::stack(&logs, 1)?
            }
        };
        let values = values.reshape((b, s, steps))?;
        let values = match &self.model.steps().mask {
            Some(mask) => values.broadcast_mul(&mask.unsqueeze(1)?)?,
            None => values,
        };
        Ok(Some(values.sum(D::Minus1)?))
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
