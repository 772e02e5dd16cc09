//! Points of a continuous latent whose posterior is a Gaussian `N(m, S)`, S = L Lᵀ: m + L u for units u that the posterior
//! chooses.

use super::Draws;
use super::from_exact::FromExact;
use crate::math::LN_2PI;
use crate::math::streams::Generator;
use crate::model::{GaussianPosterior, Latents};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use nalgebra::DMatrix;

/// The draws by `rule`, of this type and on this device.
pub(super) fn draws(
    rule: &dyn FromExact,
    GaussianPosterior { means, covariance }: GaussianPosterior,
    (dtype, device): (DType, &Device),
    generator: &mut Generator,
) -> Result<Draws> {
    let z = covariance.len().isqrt();
    let factor = DMatrix::from_row_slice(z, z, &covariance).cholesky();
    let factor = factor.ok_or_else(|| Error::Other("the posterior's covariance is not positive definite".into()))?;
    let factor = factor.l();
    let log_norm: f64 = (0..z).map(|i| factor[(i, i)].ln() + 0.5 * LN_2PI).sum();
    let rows = means.len() / z;
    let (units, samples) = rule.gaussian(rows, z, generator); // [B, S, Z]
    let mut points = Vec::with_capacity(units.len());
    let mut log_q = Vec::with_capacity(rows * samples);
    for (at, unit) in units.chunks_exact(z).enumerate() {
        let mean = &means[at / samples * z..][..z];
        points.extend((0..z).map(|i| mean[i] + (0..=i).map(|j| factor[(i, j)] * unit[j]).sum::<f64>()));
        log_q.push(-0.5 * unit.iter().map(|u| u * u).sum::<f64>() - log_norm);
    }
    if rule.is_point() {
        log_q.fill(0.0);
    }
    let tensor = |values: Vec<f64>, shape: &[usize]| -> Result<Tensor> {
        Ok(Tensor::from_vec(values, shape, device)?.to_dtype(dtype)?)
    };
    let weights = tensor(vec![1.0 / samples as f64; rows * samples], &[rows, samples])?;
    let log_q = tensor(log_q, &[rows, samples])?;
    let points = tensor(points, &[rows, samples, z])?;
    Ok(Draws::new(Latents::Continuous(points), weights, log_q))
}
