//! The transition of a trained model of sequences, as a function of many states and actions: x_{t+1} = E[x_{t+1} | x_t, u_t].
//!
//! A linear transition and a perceptron are rolled out by [`RollOut`], in f32 and without a graph; every other transition by
//! tensors, step by step. Rewards are E[r_t | x_t, u_t] of a model that has them. What a recurrent transition carries is part of the state: `[x, h]`, X + H numbers.

use crate::Result;
use crate::data::Standardization;
use crate::data::standardize::Columns;
use crate::error::provided;
use crate::model::{Carried, Sequential};
use crate::nn::RollOut;
use candle_core::{DType, Device, Tensor};
use std::sync::Arc;

/// f of a trained model, with actions in the units of the environment.
#[derive(Debug, Clone)]
pub struct Transitions {
    model: Arc<dyn Sequential>,
    fused: Option<RollOut>,
    /// The units of actions in the data.
    units: Arc<Columns>,
    /// The units of observations in the data, the last columns of which may be rewards.
    observed: Arc<Columns>,
    dtype: DType,
    controls: usize,
    /// X.
    pub states: usize,
    /// H, of a recurrent transition.
    pub deterministic: usize,
}

impl Transitions {
    /// The transition of `model` for actions of this many numbers.
    ///
    /// # Errors
    /// If its parameters cannot be read.
    pub fn new(model: Arc<dyn Sequential>, standardization: &Standardization, controls: usize) -> Result<Self> {
        let states = model.states();
        let network = model.mean_network()?;
        let fused = |own: crate::model::MeanNetwork| RollOut::new(&own.layers, own.activation, own.is_residual, states);
        let first = model.begin(Tensor::zeros((1, states), model.features().dtype(), &Device::Cpu)?)?;
        Ok(Self {
            fused: network.map(fused).transpose()?,
            units: standardization.given.clone(),
            observed: standardization.observed.clone(),
            dtype: model.features().dtype(),
            controls,
            states,
            deterministic: first.deterministic.map_or(Ok(0), |h| h.dim(1))?,
            model,
        })
    }

    /// The same without the fast path: its reference.
    #[must_use]
    pub fn by_tensors(self) -> Self {
        Self { fused: None, ..self }
    }

    /// X + H.
    pub fn width(&self) -> usize {
        self.states + self.deterministic
    }

    /// The size of rounding errors, relative to numbers of size 1.
    pub fn precision(&self) -> f64 {
        if self.dtype == DType::F64 {
            f64::EPSILON
        } else {
            f64::from(f32::EPSILON)
        }
    }

    /// States `[M, X + H]` as a model carries them.
    ///
    /// # Errors
    /// If the numbers are no whole states.
    pub fn carried(&self, states: &[f64]) -> Result<Carried> {
        let rows = states.len() / self.width().max(1);
        let all = Tensor::from_slice(states, (rows, self.width()), &Device::Cpu)?.to_dtype(self.dtype)?;
        let deterministic =
            (self.deterministic > 0).then(|| all.narrow(1, self.states, self.deterministic)?.contiguous());
        Ok(Carried {
            state: all.narrow(1, 0, self.states)?.contiguous()?,
            deterministic: deterministic.transpose()?,
        })
    }

    /// f of states `[M, X + H]` and actions `[M, U]`. `[M, X + H]`
    ///
    /// # Errors
    /// If the model cannot compute it.
    pub fn next(&self, states: &[f64], actions: &[f64]) -> Result<Vec<f64>> {
        let (normal, h) = self
            .model
            .transitions_under(Some(&self.inputs(actions)?), &self.carried(states)?)?;
        let parts = [Some(normal.mean), h];
        let next = Tensor::cat(&parts.into_iter().flatten().collect::<Vec<_>>(), 1)?;
        Ok(next.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
    }

    /// E[r | x, u] of states `[M, X + H]` and actions `[M, U]`, in the units of the environment; of several columns of rewards
    /// their sum. `[M]`
    ///
    /// # Errors
    /// [`crate::Error::Lacking`] if the model has no rewards.
    pub fn rewards(&self, states: &[f64], actions: &[f64]) -> Result<Vec<f64>> {
        let rewards = self
            .model
            .rewards_under(Some(&self.inputs(actions)?), &self.carried(states)?)?;
        let rewards = provided(rewards, "rewards")?;
        let columns = rewards.dim(1)?;
        let values: Vec<f64> = rewards.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
        let (shift, scale) = (self.observed.shift(), self.observed.scale());
        let in_units = |(own, v): (usize, &f64)| match shift.len() {
            0 => *v,
            all => v * scale[all - columns + own] + shift[all - columns + own],
        };
        let rows = values.chunks_exact(columns);
        Ok(rows.map(|row| row.iter().enumerate().map(in_units).sum()).collect())
    }

    /// The states after every step of N sequences of actions `[N, steps, U]` from one state `[X + H]`.
    /// `[N, steps, X + H]`
    ///
    /// # Errors
    /// If the model cannot compute it.
    pub fn paths(&self, start: &[f64], actions: &[f64], steps: usize) -> Result<Vec<f64>> {
        if let Some(fused) = &self.fused {
            let narrow = |values: &[f64]| values.iter().map(|v| *v as f32).collect::<Vec<f32>>();
            let paths = fused.paths(&narrow(start), &narrow(&self.in_units(actions)), steps)?;
            return Ok(paths.into_iter().map(f64::from).collect());
        }
        let (width, sequences) = (self.width(), actions.len() / (steps * self.controls).max(1));
        let mut paths = vec![0.0; sequences * steps * width];
        let mut states = start.repeat(sequences);
        for h in 0..steps {
            let own = actions.chunks_exact(self.controls).skip(h).step_by(steps);
            let own: Vec<f64> = own.flatten().copied().collect();
            states = self.next(&states, &own)?;
            for (n, state) in states.chunks_exact(width).enumerate() {
                paths[(n * steps + h) * width..][..width].copy_from_slice(state);
            }
        }
        Ok(paths)
    }

    /// ∂f/∂u at a state `[X + H]` under the action `at`, by central differences of this size. `[U][X]`
    ///
    /// # Errors
    /// If the model cannot compute it.
    pub fn gain(&self, state: &[f64], at: &[f64], widths: &[f64]) -> Result<Vec<Vec<f64>>> {
        let mut actions = Vec::new();
        for (j, width) in widths.iter().enumerate() {
            for side in [*width, -width] {
                actions.extend(at.iter().enumerate().map(|(k, v)| if k == j { v + side } else { *v }));
            }
        }
        let next = self.next(&state.repeat(2 * widths.len()), &actions)?;
        let pairs = next.chunks_exact(2 * self.width()).zip(widths);
        let column = |(pair, width): (&[f64], &f64)| {
            let (above, below) = pair.split_at(self.width());
            let slopes = above.iter().zip(below).map(|(a, b)| (a - b) / (2.0 * width));
            slopes.take(self.states).collect()
        };
        Ok(pairs.map(column).collect())
    }

    /// Actions `[M, U]` as the model takes them.
    fn inputs(&self, actions: &[f64]) -> Result<Tensor> {
        let rows = actions.len() / self.controls.max(1);
        let inputs = Tensor::from_vec(self.in_units(actions), (rows, self.controls), &Device::Cpu)?;
        Ok(inputs.to_dtype(self.dtype)?)
    }

    /// Actions in the units of the data.
    fn in_units(&self, actions: &[f64]) -> Vec<f64> {
        let (shift, scale) = (self.units.shift(), self.units.scale());
        if shift.is_empty() {
            return actions.to_vec();
        }
        let units = shift.iter().zip(scale).cycle();
        actions
            .iter()
            .zip(units)
            .map(|(v, (shift, scale))| (v - shift) / scale)
            .collect()
    }
}
