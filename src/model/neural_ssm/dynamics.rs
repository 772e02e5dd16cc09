//! A neural state space with constant Gaussian noise in f64, for filters and predictions of any state space.
//!
//! The functions are those of the model, on tensors of f64; Jacobians come from one backward pass per output.

use super::emission::Cause;
use super::model::Core;
use super::transition::Condition;
use crate::Result;
use crate::error::provided;
use crate::math::nonlinear::Dynamics;
use crate::model::Normal;
use crate::nn::{Parameters, backward};
use candle_core::{DType, Device, Tensor, Var};
use nalgebra::{DMatrix, DVector};
use std::sync::Arc;

/// f, g and the noises under one θ.
#[derive(Debug)]
pub(super) struct NeuralDynamics {
    core: Arc<Core>,
    theta: Parameters,
    initial_mean: DVector<f64>,
    /// P₁, Q and R.
    covariances: [DMatrix<f64>; 3],
}

/// The variances of raw standard deviations `[1, D]`, times squared `scales`, as a diagonal matrix.
fn covariance(raw: &Tensor, floor: f64, scales: &[f64]) -> Result<DMatrix<f64>> {
    let normal = Normal {
        mean: raw.zeros_like()?,
        raw: raw.to_dtype(DType::F64)?,
        floor,
    };
    let deviations = normal.deviation()?.flatten_all()?.to_vec1::<f64>()?;
    let scale = |at: usize| scales.get(at).copied().unwrap_or(1.0);
    let variances = deviations.iter().enumerate().map(|(at, s)| (s * scale(at)).powi(2));
    Ok(DMatrix::from_diagonal(&DVector::from_vec(variances.collect())))
}

impl NeuralDynamics {
    /// The state space of θ, if its noises are constant Gaussians and its state is x alone.
    pub fn new(core: &Arc<Core>, theta: &Parameters) -> Result<Option<Self>> {
        if !core.is_state_space() {
            return Ok(None);
        }
        let mut wide = Parameters::new();
        for (name, var) in theta.iter() {
            wide.insert(name, &var.as_tensor().detach().to_dtype(DType::F64)?)?;
        }
        let theta = wide.constant();
        let initial = core.initial(&theta)?;
        let raw = |entries: Option<&super::entries::Entries>| provided(entries, "constant noise")?.value(&theta);
        let floor = core.transition.floor();
        Ok(Some(Self {
            initial_mean: DVector::from_vec(initial.mean.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?),
            covariances: [
                covariance(&initial.raw, initial.floor, &[])?,
                covariance(&raw(core.transition.raw.as_ref())?, floor, &[])?,
                covariance(
                    &provided(core.emission.raw(&theta)?, "constant noise")?,
                    core.emission.floor(&theta)?,
                    &core.emission.moments.deviations,
                )?,
            ],
            core: core.clone(),
            theta,
        }))
    }

    /// f or g of rows `[n, X]`, with the inputs `u` of all rows. `[n, X]` or `[n, O]`
    fn apply(&self, is_emission: bool, rows: &Tensor, u: &[f64]) -> Result<Tensor> {
        let inputs = |moments: bool| -> Result<Option<Tensor>> {
            if u.is_empty() {
                return Ok(None);
            }
            let own = &self.core.inputs;
            let value = |(j, v): (usize, &f64)| {
                if moments {
                    (v - own.means[j]) / own.deviations[j]
                } else {
                    *v
                }
            };
            let values: Vec<f64> = u.iter().enumerate().map(value).collect();
            let row = Tensor::from_vec(values, (1, u.len()), &Device::Cpu)?;
            Ok(Some(row.broadcast_as((rows.dim(0)?, u.len()))?.contiguous()?))
        };
        let standardized = inputs(true)?;
        if is_emission {
            let cause = Cause {
                state: rows,
                deterministic: None,
                inputs: standardized.as_ref(),
            };
            return self.core.emission.mean(&self.theta, cause);
        }
        let inputs = inputs(false)?;
        let condition = Condition {
            state: rows,
            inputs: inputs.as_ref(),
            standardized: standardized.as_ref(),
            deterministic: None,
        };
        Ok(self.core.transition.apply(&self.theta, &condition)?.mean)
    }

    /// The same for columns `[X, n]`, into `to`; NaN if it cannot be computed.
    fn columns(&self, is_emission: bool, x: &[f64], u: &[f64], to: &mut [f64]) {
        let states = self.initial_mean.len();
        let values = || -> Result<Vec<f64>> {
            let columns = Tensor::from_slice(x, (states, x.len() / states), &Device::Cpu)?;
            let rows = self.apply(is_emission, &columns.t()?.contiguous()?, u)?;
            Ok(rows.t()?.contiguous()?.flatten_all()?.to_vec1()?)
        };
        match values() {
            Ok(values) => to.copy_from_slice(&values),
            Err(_) => to.fill(f64::NAN),
        }
    }

    /// The Jacobian at `x` `[X]`; NaN if it cannot be computed.
    fn jacobian(&self, is_emission: bool, x: &[f64], u: &[f64]) -> DMatrix<f64> {
        let outputs = if is_emission { self.outputs() } else { x.len() };
        let rows = || -> Result<Vec<f64>> {
            let at = Var::from_tensor(&Tensor::from_slice(x, (1, x.len()), &Device::Cpu)?)?;
            let values = self.apply(is_emission, at.as_tensor(), u)?;
            let mut all = Vec::with_capacity(outputs * x.len());
            for output in 0..outputs {
                let gradients = backward(&values.narrow(1, output, 1)?.sum_all()?)?;
                match gradients.get(&at) {
                    Some(row) => all.extend(row.flatten_all()?.to_vec1::<f64>()?),
                    None => all.extend(std::iter::repeat_n(0.0, x.len())),
                }
            }
            Ok(all)
        };
        let values = rows().unwrap_or_else(|_| vec![f64::NAN; outputs * x.len()]);
        DMatrix::from_row_slice(outputs, x.len(), &values)
    }
}

impl Dynamics for NeuralDynamics {
    fn states(&self) -> usize {
        self.initial_mean.len()
    }

    fn outputs(&self) -> usize {
        self.covariances[2].nrows()
    }

    fn initial_mean(&self) -> DVector<f64> {
        self.initial_mean.clone()
    }

    fn initial_covariance(&self) -> &DMatrix<f64> {
        &self.covariances[0]
    }

    fn transition_noise(&self) -> &DMatrix<f64> {
        &self.covariances[1]
    }

    fn emission_noise(&self) -> &DMatrix<f64> {
        &self.covariances[2]
    }

    fn transition(&self, _t: usize, x: &[f64], u: &[f64], to: &mut [f64]) {
        self.columns(false, x, u, to);
    }

    fn transition_jacobian(&self, _t: usize, x: &[f64], u: &[f64]) -> DMatrix<f64> {
        self.jacobian(false, x, u)
    }

    fn emission(&self, _t: usize, x: &[f64], u: &[f64], to: &mut [f64]) {
        self.columns(true, x, u, to);
    }

    fn emission_jacobian(&self, _t: usize, x: &[f64], u: &[f64]) -> DMatrix<f64> {
        self.jacobian(true, x, u)
    }
}
