//! A model that is linear everywhere as a linear-Gaussian state space: its numbers in one row, with gradients of θ.

use super::emission;
use super::model::Core;
use super::transition;
use crate::math::kalman::System;
use crate::model::linear_gaussian_ssm::{Parametrisation, finite};
use crate::nn::Parameters;
use crate::{Error, Result};
use candle_core::{DType, Tensor};
use nalgebra::{DMatrix, DVector};

/// The sizes of a system. Its row of numbers is m₁, diag P₁, A, B, b, diag Q, C, d, diag R, matrices row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub states: usize,
    pub inputs: usize,
    pub outputs: usize,
}

/// The numbers of θ in one row, in f64. `[P]`
pub(super) fn flat(core: &Core, theta: &Parameters) -> Result<Tensor> {
    let (
        transition::Function::Linear { matrix, input, offset },
        Some(transition_raw),
        emission::Function::Linear {
            matrix: emission,
            offset: emission_offset,
        },
        Some(emission_raw),
    ) = (
        &core.transition.function,
        &core.transition.raw,
        &core.emission.function,
        core.emission.raw(theta)?,
    )
    else {
        return Err(Error::Lacking("a linear state space"));
    };
    let wide = |tensor: Tensor| -> Result<Tensor> { Ok(tensor.to_dtype(DType::F64)?.flatten_all()?) };
    let variances = |raw: Tensor, floor: f64| -> Result<Tensor> {
        let raw = raw.to_dtype(DType::F64)?;
        Ok((raw.exp()? + floor)?.sqr()?.flatten_all()?)
    };
    let initial = core.initial(theta)?;
    let [_, scale] = core.emission.shift_and_scale(DType::F64)?;
    let mut parts = vec![
        wide(initial.mean)?,
        variances(initial.raw, initial.floor)?,
        wide(matrix.value(theta)?)?,
    ];
    if let Some(input) = input {
        parts.push(wide(input.value(theta)?)?);
    }
    parts.extend([
        wide(offset.value(theta)?)?,
        variances(transition_raw.value(theta)?, core.transition.floor())?,
        wide(emission.value(theta)?)?,
        wide(emission_offset.value(theta)?)?,
        (variances(emission_raw, core.emission.floor(theta)?)? * scale.sqr()?.flatten_all()?)?,
    ]);
    Ok(Tensor::cat(&parts, 0)?)
}

impl Parametrisation for Sizes {
    fn system(&self, flat: &[f64]) -> Result<System> {
        let Self {
            states: x,
            inputs: u,
            outputs: o,
        } = *self;
        let mut rest = flat;
        let mut next = |rows: usize, columns: usize| {
            let (own, after) = rest.split_at(rows * columns);
            rest = after;
            DMatrix::from_row_slice(rows, columns, own)
        };
        let vector = |matrix: DMatrix<f64>| DVector::from_column_slice(matrix.as_slice());
        let diagonal = |matrix: DMatrix<f64>| DMatrix::from_diagonal(&DVector::from_column_slice(matrix.as_slice()));
        finite(System {
            initial_mean: vector(next(x, 1)),
            initial_covariance: diagonal(next(x, 1)),
            transition: next(x, x),
            transition_input: next(x, u),
            transition_offset: vector(next(x, 1)),
            transition_noise: diagonal(next(x, 1)),
            emission: next(o, x),
            emission_input: DMatrix::zeros(o, u),
            emission_offset: vector(next(o, 1)),
            emission_noise: diagonal(next(o, 1)),
        })
    }

    fn pull_back(&self, _flat: &[f64], _system: &System, gradient: &System) -> Vec<f64> {
        let mut all = Vec::new();
        let rows = |matrix: &DMatrix<f64>| matrix.transpose().as_slice().to_vec();
        let diagonal = |matrix: &DMatrix<f64>| matrix.diagonal().as_slice().to_vec();
        all.extend_from_slice(gradient.initial_mean.as_slice());
        all.extend(diagonal(&gradient.initial_covariance));
        all.extend(rows(&gradient.transition));
        all.extend(rows(&gradient.transition_input));
        all.extend_from_slice(gradient.transition_offset.as_slice());
        all.extend(diagonal(&gradient.transition_noise));
        all.extend(rows(&gradient.emission));
        all.extend_from_slice(gradient.emission_offset.as_slice());
        all.extend(diagonal(&gradient.emission_noise));
        all
    }
}
