//! The true posterior of a continuous latent that is Gaussian, `N(m, S)`, S = L Lᵀ.
//!
//! | posterior | draws |
//! |---|---|
//! | exact | the 2Z points m ± √Z L e_i, equally weighted: the expectation of every quadratic function is exact, and log p(x, z) is one |
//! | sampled | S points m + L ε |
//! | hard | m with weight 1 |
//!
//! The points are the third-degree cubature rule (Arasaratnam & Haykin 2009, equation 32).

use super::{Draws, PosteriorConfig};
use crate::math::streams::Generator;
use crate::model::{GaussianPosterior, Latents};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use nalgebra::DMatrix;
use rand::RngExt;
use rand_distr::StandardNormal;

/// The draws of `posterior`, of this type and on this device.
pub(super) fn draws(
    posterior: &PosteriorConfig,
    GaussianPosterior { means, covariance }: GaussianPosterior,
    (dtype, device): (DType, &Device),
    generator: &mut Generator,
) -> Result<Draws> {
    let z = covariance.len().isqrt();
    let factor = DMatrix::from_row_slice(z, z, &covariance).cholesky();
    let factor = factor.ok_or_else(|| Error::Other("the posterior's covariance is not positive definite".into()))?;
    let factor = factor.l();
    let log_norm: f64 = (0..z)
        .map(|i| factor[(i, i)].ln() + 0.5 * (2.0 * std::f64::consts::PI).ln())
        .sum();
    let rows = means.len() / z;
    // Every row's points in units of L. `[B, S, Z]`
    let (samples, units) = match posterior {
        PosteriorConfig::Hard(_) => (1, vec![0.0; rows * z]),
        PosteriorConfig::Sampled(sampled) => {
            let count = rows * sampled.samples * z;
            (
                sampled.samples,
                (0..count).map(|_| generator.sample(StandardNormal)).collect(),
            )
        }
        _ => {
            let one = |at: usize| {
                let (s, i) = (at / z % (2 * z), at % z);
                let size = if s / 2 == i { (z as f64).sqrt() } else { 0.0 };
                if s % 2 == 0 { size } else { -size }
            };
            (2 * z, (0..rows * 2 * z * z).map(one).collect::<Vec<f64>>())
        }
    };
    let mut points = Vec::with_capacity(units.len());
    let mut log_q = Vec::with_capacity(rows * samples);
    for (at, unit) in units.chunks_exact(z).enumerate() {
        let mean = &means[at / samples * z..][..z];
        points.extend((0..z).map(|i| mean[i] + (0..=i).map(|j| factor[(i, j)] * unit[j]).sum::<f64>()));
        log_q.push(-0.5 * unit.iter().map(|u| u * u).sum::<f64>() - log_norm);
    }
    if let PosteriorConfig::Hard(_) = posterior {
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
