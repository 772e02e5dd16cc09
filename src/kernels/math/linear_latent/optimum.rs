//! Maximum likelihood in closed form, where the noise is spherical or known.
//!
//! Let S be the covariance of the rows, or of their residuals after regression on c, with eigenvalues
//! `λ_1 ≥ … ≥ λ_D` and eigenvectors `u_k`. Then (Tipping & Bishop 1999, eqs. 7 and 8; the rotation left open is I)
//! - `σ² = Σ_{k>Z} λ_k / (D − Z)` and `w_k = u_k (λ_k − σ²)^½`;
//! - `log p(x)` is then `−½ [D log 2π + Σ_{k≤Z} log λ_k + (D − Z) log σ² + D]` per row.
//!
//! With known noise Ψ the same holds for the columns divided by their noise standard deviations, with `σ² = 1` and
//! `(λ_k − 1)₊` (Lawley 1940): there W has fewer than Z columns where fewer eigenvalues exceed the noise.

use super::LinearLatent;
use crate::math::linear_algebra::{eigen, least_squares, matrix, symmetric};
use crate::math::rows::Observations;
use crate::{Error, Result};
use nalgebra::DMatrix;

impl LinearLatent {
    /// The most likely model with `latents` latent dimensions: spherical noise where `noise_variances` is none, else
    /// the known ones, `[D]`.
    ///
    /// # Errors
    /// If spherical noise is to be learnt with `Z ≥ D`, or the rows lie in Z dimensions so that the noise vanishes, or
    /// sizes do not fit.
    pub fn optimum(data: &Observations, latents: usize, noise_variances: Option<&[f64]>) -> Result<Self> {
        let (c, d) = data.columns();
        if noise_variances.is_none() && latents >= d {
            return Err(Error::Data(format!(
                "{latents} latents leave no noise in {d} columns: expected at most {}; fix the noise, or take fewer latents",
                d.saturating_sub(1)
            )));
        }
        let mut model = Self {
            latents,
            inputs: c,
            outputs: d,
            loadings: vec![0.0; d * latents],
            coefficients: vec![0.0; d * (c + 1)],
            noise_variances: noise_variances.map_or_else(|| vec![1.0; d], <[f64]>::to_vec),
        };
        model.check()?;
        let covariance = model.regress(data);
        let deviations: Vec<f64> = model.noise_variances.iter().map(|v| v.sqrt()).collect();
        let scaled = DMatrix::from_fn(d, d, |i, j| covariance[(i, j)] / (deviations[i] * deviations[j]));
        let (u, lambda) = eigen(symmetric(scaled));
        let mut order: Vec<usize> = (0..d).collect();
        order.sort_by(|i, j| lambda[*j].total_cmp(&lambda[*i]));
        let variance = match noise_variances {
            Some(_) => 1.0,
            None => order[latents..].iter().map(|k| lambda[*k]).sum::<f64>() / (d - latents) as f64,
        };
        for (at, k) in order.iter().take(latents).enumerate() {
            let length = (lambda[*k] - variance).max(0.0).sqrt();
            for j in 0..d {
                model.loadings[j * latents + at] = deviations[j] * u[(j, *k)] * length;
            }
        }
        if noise_variances.is_none() {
            model.noise_variances = vec![variance; d];
        }
        model.check().map(|()| model)
    }

    /// Sets `[V, b]` to the least-squares regression of x on c, which maximises the likelihood for any `W Wᵀ + Ψ`
    /// (Zellner 1962: the regressors of all columns are the same); returns the covariance of the residuals, `[D, D]`.
    fn regress(&mut self, data: &Observations) -> DMatrix<f64> {
        let (c, d) = data.columns();
        let p = 1 + c + d;
        let m = matrix(&data.moments, p, p) / data.total_weight();
        let (a, r) = (m.view((0, 0), (1 + c, 1 + c)), m.view((0, 1 + c), (1 + c, d)));
        let slopes = least_squares(&a.into_owned(), &r.into_owned()); // [D, 1+C], of [1; c − c̄]
        for (j, row) in self.coefficients.chunks_exact_mut(c + 1).enumerate() {
            row[c] = data.shift[c + j] + slopes[(j, 0)];
            for i in 0..c {
                row[i] = slopes[(j, 1 + i)];
                row[c] -= row[i] * data.shift[i];
            }
        }
        m.view((1 + c, 1 + c), (d, d)) - slopes * r
    }
}
