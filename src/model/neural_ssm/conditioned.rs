//! The state space of one θ with the sequences of one batch: its terms at paths, and its steps one by one.

use super::emission::Cause;
use super::model::Core;
use super::transition::Condition;
use crate::Result;
use crate::data::{Batch, Steps, repeated};
use crate::error::provided;
use crate::model::{Carried, LinearEmission, MeanNetwork, Normal, Sequential, Span, TransitionRecursion};
use crate::nn::{GatedRecurrent, Parameters};
use candle_core::{D, Tensor};
use std::sync::Arc;

/// The sequences of one batch under one θ.
#[derive(Debug)]
pub(super) struct Conditioned {
    pub core: Arc<Core>,
    pub theta: Parameters,
    pub steps: Steps,
    /// What the emission is evaluated at: standardised or binary observations. `[B, T, O]`
    pub target: Tensor,
    /// `[B, T, F]`
    features: Tensor,
    /// `[B, T, U]`
    standardized_inputs: Option<Tensor>,
}

impl Conditioned {
    pub fn new(core: Arc<Core>, theta: Parameters, batch: &Batch) -> Result<Self> {
        let dtype = theta.dtype();
        Self::of_steps(core, theta, Steps::new(batch, dtype)?)
    }

    /// The same for sequences that are padded already.
    pub fn of_steps(core: Arc<Core>, theta: Parameters, steps: Steps) -> Result<Self> {
        let dtype = steps.observed.dtype();
        let row =
            |values: &[f64]| -> Result<Tensor> { Ok(Tensor::new(values, steps.observed.device())?.to_dtype(dtype)?) };
        let moments = &core.emission.moments;
        // The residual of principal components is for the emission alone.
        let seen = steps.observed.narrow(D::Minus1, 0, moments.means.len())?;
        let centred = seen.broadcast_sub(&row(&moments.means)?)?;
        let mut standardized = centred.broadcast_div(&row(&moments.deviations)?)?;
        if let Some(present) = &steps.present {
            standardized = (standardized * present)?;
        }
        // Rewards follow from states and inputs; where a state is asked for, the last one is not known yet.
        let without_rewards = |tensor: &Tensor| tensor.narrow(D::Minus1, 0, core.emission.columns())?.contiguous();
        let features = match core.is_missing {
            true => {
                let present = steps.present.clone().map_or_else(|| steps.observed.ones_like(), Ok)?;
                Tensor::cat(
                    &[without_rewards(&standardized)?, without_rewards(&present)?],
                    D::Minus1,
                )?
            }
            false => without_rewards(&standardized)?,
        };
        let standardized_inputs = steps.inputs.as_ref().map(|inputs| -> Result<Tensor> {
            let centred = inputs.broadcast_sub(&row(&core.inputs.means)?)?;
            Ok(centred.broadcast_div(&row(&core.inputs.deviations)?)?)
        });
        Ok(Self {
            target: match (core.is_binary(), core.emission.reduced_from) {
                (true, _) => steps.observed.clone(),
                (false, None) => standardized,
                (false, Some(_)) => {
                    let variance = moments.deviations.first().map_or(1.0, |s| s * s);
                    let residual = (steps.observed.narrow(D::Minus1, moments.means.len(), 1)? / variance)?;
                    Tensor::cat(&[&standardized, &residual], D::Minus1)?
                }
            },
            features,
            standardized_inputs: standardized_inputs.transpose()?,
            core,
            theta,
            steps,
        })
    }

    /// Sequences `start..start + count`.
    pub fn narrow(&self, start: usize, count: usize) -> Result<Self> {
        Self::of_steps(self.core.clone(), self.theta.clone(), self.steps.narrow(start, count)?)
    }

    /// The transition of states `[N, X]` of these steps, with h of the steps after them `[N, H]`.
    fn moved(&self, states: &Tensor, deterministic: Option<&Tensor>, steps: Span) -> Result<Normal> {
        let rows = |tensor: &Option<Tensor>| tensor.as_ref().map(|u| steps.rows(u)).transpose();
        let (inputs, standardized) = (rows(&self.steps.inputs)?, rows(&self.standardized_inputs)?);
        let condition = Condition {
            state: states,
            inputs: inputs.as_ref(),
            standardized: standardized.as_ref(),
            deterministic,
        };
        self.core.transition.apply(&self.theta, &condition)
    }

    /// h of the steps after these, under standardised inputs `[N, U]`; none if the transition has none. `[N, H]`
    fn deterministic_after(&self, standardized: Option<&Tensor>, carried: &Carried) -> Result<Option<Tensor>> {
        if self.core.transition.cell().is_none() {
            return Ok(None);
        }
        let inputs = [Some(&carried.state), standardized].into_iter().flatten();
        let inputs = Tensor::cat(&inputs.collect::<Vec<_>>(), 1)?.unsqueeze(1)?;
        let before = carried.deterministic.as_ref();
        let next = self.core.transition.deterministic(&self.theta, &inputs, before)?;
        Ok(next.map(|h| h.squeeze(1)).transpose()?)
    }

    /// h of all steps of paths `[N, T, X]`: 0 at the first. `[N, T, H]`
    pub fn deterministic_path(&self, paths: &Tensor, samples: usize) -> Result<Option<Tensor>> {
        let (n, steps, _) = paths.dims3()?;
        let Some(cell) = self.core.transition.cell() else {
            return Ok(None);
        };
        let first = Tensor::zeros((n, 1, cell.units()), paths.dtype(), paths.device())?;
        if steps == 1 {
            return Ok(Some(first));
        }
        let before = paths.narrow(1, 0, steps - 1)?.contiguous()?;
        let inputs = match &self.standardized_inputs {
            Some(inputs) => {
                let own = repeated(&inputs.narrow(1, 0, steps - 1)?.contiguous()?, samples)?;
                Tensor::cat(&[&before, &own], D::Minus1)?
            }
            None => before,
        };
        let later = self.core.transition.deterministic(&self.theta, &inputs, None)?;
        let later = provided(later, "a recurrent network")?;
        Ok(Some(Tensor::cat(&[first, later], 1)?))
    }

    /// The transition of all steps but the last, at paths `[B·S, T, X]` with h of all steps `[B·S, T, H]`.
    /// `[B·S·(T − 1), X]`
    fn moved_along(&self, paths: &Tensor, deterministic: Option<&Tensor>, samples: usize) -> Result<Normal> {
        let later = paths.dim(1)? - 1;
        let part = |tensor: &Tensor, from| tensor.narrow(1, from, later)?.contiguous()?.flatten_to(1);
        let h = deterministic.map(|h| part(h, 1)).transpose()?;
        self.moved(&part(paths, 0)?, h.as_ref(), before_last(later + 1, samples))
    }

    /// log p(o_t | x_t) of these steps. States: `[N, X]` with h `[N, H]`; result `[N]`
    fn emitted(&self, states: (&Tensor, Option<&Tensor>), steps: Span) -> Result<Tensor> {
        let target = steps.rows(&self.target)?;
        let present = self
            .steps
            .present
            .as_ref()
            .map(|present| steps.rows(present))
            .transpose()?;
        let inputs = self.standardized_inputs.as_ref();
        let inputs = inputs.map(|inputs| steps.rows(inputs)).transpose()?;
        let (state, deterministic) = states;
        let cause = Cause {
            state,
            deterministic,
            inputs: inputs.as_ref(),
        };
        let emission = &self.core.emission;
        let density = emission.log_prob(&self.theta, cause, &target, present.as_ref())?;
        match (&self.steps.mask, present) {
            // Whole steps beyond the end of a sequence.
            (Some(mask), None) => Ok((density * steps.rows(&mask.unsqueeze(D::Minus1)?)?.squeeze(1)?)?),
            _ => Ok(density),
        }
    }

    /// log p(x_1) at the first states of `[B, S, T, X]`. `[B, S]`
    pub fn initial_at(&self, paths: &Tensor) -> Result<Tensor> {
        let (b, s, _, x) = paths.dims4()?;
        let first = paths.narrow(2, 0, 1)?.reshape((b * s, x))?;
        Ok(self.initial()?.log_prob(&first)?.reshape((b, s))?)
    }

    /// Σ_t log p(x_{t+1} | x_t, u_t) of states `now` and `next`, each `[B, S, T − 1, X]`, with h of the later ones
    /// `[B·S, T − 1, H]`. `[B, S]`
    pub fn transition_at(&self, now: &Tensor, next: &Tensor, h: Option<&Tensor>) -> Result<Tensor> {
        let (b, s, count, x) = now.dims4()?;
        let flat = |states: &Tensor| states.contiguous()?.reshape((b * s * count, x));
        let h = h.map(|h| h.contiguous()?.flatten_to(1)).transpose()?;
        let steps = Span {
            from: 0,
            count,
            samples: s,
        };
        let normal = self.moved(&flat(now)?, h.as_ref(), steps)?;
        let density = normal.log_prob(&flat(next)?)?.reshape((b, s, count))?;
        let density = match &self.steps.mask {
            Some(mask) => density.broadcast_mul(&mask.narrow(1, 1, count)?.unsqueeze(1)?)?,
            None => density,
        };
        Ok(density.sum(D::Minus1)?)
    }

    /// Σ_t log p(o_t | x_t) of `[B, S, T, X]` with h `[B·S, T, H]`. `[B, S]`
    pub fn emission_at(&self, paths: &Tensor, h: Option<&Tensor>) -> Result<Tensor> {
        let (b, s, t, x) = paths.dims4()?;
        let states = paths.contiguous()?.reshape((b * s * t, x))?;
        let h = h.map(|h| h.flatten_to(1)).transpose()?;
        let steps = Span {
            from: 0,
            count: t,
            samples: s,
        };
        let density = self.emitted((&states, h.as_ref()), steps)?;
        Ok(density.reshape((b, s, t))?.sum(D::Minus1)?)
    }

    /// The terms `initial`, `transition` and, if it is asked for, `emission` at paths `[B, S, T, X]`. Each `[B, S]`
    pub fn terms(&self, paths: &Tensor, with_emission: bool) -> Result<[Option<Tensor>; 3]> {
        let (b, s, t, x) = paths.dims4()?;
        let initial = self.initial_at(paths)?;
        let h = self.deterministic_path(&paths.contiguous()?.reshape((b * s, t, x))?, s)?; // [B·S, T, H]
        let transition = match t {
            1 => initial.zeros_like()?,
            _ => {
                let later = h.as_ref().map(|h| h.narrow(1, 1, t - 1)).transpose()?;
                let [now, next] = [paths.narrow(2, 0, t - 1)?, paths.narrow(2, 1, t - 1)?];
                self.transition_at(&now, &next, later.as_ref())?
            }
        };
        let emission = with_emission.then(|| self.emission_at(paths, h.as_ref()));
        Ok([Some(initial), Some(transition), emission.transpose()?])
    }
}

/// All of `steps` steps but the last.
fn before_last(steps: usize, samples: usize) -> Span {
    Span {
        from: 0,
        count: steps - 1,
        samples,
    }
}

impl Sequential for Conditioned {
    fn states(&self) -> usize {
        self.core.sizes.states
    }

    fn steps(&self) -> &Steps {
        &self.steps
    }

    fn features(&self) -> &Tensor {
        &self.features
    }

    fn standardized_inputs(&self) -> Option<&Tensor> {
        self.standardized_inputs.as_ref()
    }

    fn initial(&self) -> Result<Normal> {
        self.core.initial(&self.theta)
    }

    fn begin(&self, states: Tensor) -> Result<Carried> {
        let cell = self.core.transition.cell();
        let zeros =
            |cell: &GatedRecurrent| Tensor::zeros((states.dim(0)?, cell.units()), states.dtype(), states.device());
        Ok(Carried {
            deterministic: cell.map(zeros).transpose()?,
            state: states,
        })
    }

    fn transitions(&self, steps: Span, carried: &Carried) -> Result<(Normal, Option<Tensor>)> {
        let inputs = self.standardized_inputs.as_ref();
        let inputs = inputs.map(|u| steps.rows(u)).transpose()?;
        let h = self.deterministic_after(inputs.as_ref(), carried)?;
        let normal = self.moved(&carried.state, h.as_ref(), steps)?;
        Ok((normal.broadcast(carried.state.dim(0)?)?, h))
    }

    fn transitions_under(&self, inputs: Option<&Tensor>, carried: &Carried) -> Result<(Normal, Option<Tensor>)> {
        let standardized = inputs.map(|inputs| self.core.inputs.standardized(inputs)).transpose()?;
        let h = self.deterministic_after(standardized.as_ref(), carried)?;
        let condition = Condition {
            state: &carried.state,
            inputs,
            standardized: standardized.as_ref(),
            deterministic: h.as_ref(),
        };
        let normal = self.core.transition.apply(&self.theta, &condition)?;
        Ok((normal.broadcast(carried.state.dim(0)?)?, h))
    }

    fn rewards_under(&self, inputs: Option<&Tensor>, carried: &Carried) -> Result<Option<Tensor>> {
        let standardized = inputs.map(|inputs| self.core.inputs.standardized(inputs)).transpose()?;
        let cause = Cause {
            state: &carried.state,
            deterministic: carried.deterministic.as_ref(),
            inputs: standardized.as_ref(),
        };
        self.core.emission.rewards(&self.theta, cause)
    }

    fn mean_network(&self) -> Result<Option<MeanNetwork>> {
        self.core.transition.mean_network(&self.theta, &self.core.inputs)
    }

    fn carried(&self, paths: &Tensor) -> Result<Carried> {
        let (b, s, t, x) = paths.dims4()?;
        let states = paths.contiguous()?.reshape((b * s, t, x))?;
        let h = self.deterministic_path(&states, s)?;
        Ok(Carried {
            state: states.flatten_to(1)?,
            deterministic: h.map(|h| h.flatten_to(1)).transpose()?,
        })
    }

    fn transitions_along(&self, paths: &Tensor) -> Result<Normal> {
        let (rows, steps, _) = paths.dims3()?;
        let samples = rows / self.steps.dims().0;
        let h = self.deterministic_path(paths, samples)?;
        self.moved_along(paths, h.as_ref(), samples)?
            .broadcast(rows * (steps - 1))
    }

    fn recursion(&self) -> Result<Option<TransitionRecursion>> {
        let (b, steps) = self.steps.dims();
        let before = |u: &Option<Tensor>| u.as_ref().map(|u| u.narrow(1, 0, steps - 1)).transpose();
        let (inputs, standardized) = (before(&self.steps.inputs)?, before(&self.standardized_inputs)?);
        let inputs = (inputs.as_ref(), standardized.as_ref());
        self.core.transition.recursion(&self.theta, inputs, (b, steps - 1))
    }

    fn emission(&self, t: usize, carried: &Carried) -> Result<Tensor> {
        let step = Span::step(t, carried.state.dim(0)? / self.steps.dims().0);
        self.emitted((&carried.state, carried.deterministic.as_ref()), step)
    }

    fn linear_emission(&self) -> Result<Option<LinearEmission>> {
        self.core.emission.linear(&self.theta)
    }
}
