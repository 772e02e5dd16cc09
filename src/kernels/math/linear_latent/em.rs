//! One iteration of expectation maximisation (Rubin & Thayer 1982), from the data's moments alone.
//!
//! The posterior mean is linear in the row, `m = T u` with `u = [1; c − c̄; x − x̄]`, so that the expected moments are
//! products with `𝓜 = Σ_i w_i u_i u_iᵀ`: `E[z uᵀ] = T 𝓜` and `E[z zᵀ] = T 𝓜 Tᵀ + n M⁻¹`. The M-step is the regression
//! of x on `[z; 1; c]`, and the noise is the mean square of its residuals. An iteration costs O(Z P²), independent of
//! the number of rows, and never lowers the likelihood.

use super::{Inference, LinearLatent};
use crate::math::linear_algebra::{least_squares, matrix};
use crate::math::rows::Observations;
use crate::{Error, Result};
use nalgebra::DMatrix;

/// Noise variances stay above this fraction of their column's variance.
const LEAST_NOISE: f64 = 1e-10;

/// The learnt form of the noise Ψ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noise {
    /// None: Ψ is fixed.
    Fixed,
    /// One variance for all columns: probabilistic principal components.
    Spherical,
    /// A variance per column: factor analysis.
    Diagonal,
}

/// The parameters that an iteration learns; the rest is fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learning {
    /// Whether W is learnt.
    pub loadings: bool,
    /// Whether `[V, b]` is learnt.
    pub coefficients: bool,
    /// The learnt form of Ψ.
    pub noise: Noise,
}

impl LinearLatent {
    /// The mean of `log p(x | c)` over the weighted rows, nats per row, from their moments.
    ///
    /// # Errors
    /// If sizes do not fit, or a variance is not positive.
    pub fn mean_log_likelihood(&self, data: &Observations) -> Result<f64> {
        let inference = self.inference()?;
        let (r, m) = self.residual_moments(data)?;
        let t = &inference.gain * &r; // [Z, P]
        let unexplained = r - matrix(&self.loadings, self.outputs, self.latents) * &t; // e − W m, as a map of u
        let mean_square = |row: nalgebra::DVector<f64>| row.dot(&(&m * &row)) / m[(0, 0)];
        let misfit = unexplained.row_iter().zip(&self.noise_variances);
        let misfit: f64 = misfit.map(|(row, psi)| mean_square(row.transpose()) / psi).sum();
        let size: f64 = t.row_iter().map(|row| mean_square(row.transpose())).sum();
        Ok(inference.constant - 0.5 * (misfit + size))
    }

    /// The model after one iteration on the weighted rows.
    ///
    /// # Errors
    /// If sizes do not fit, or a column is constant or so well explained that its noise vanishes.
    pub fn em_step(&self, data: &Observations, learning: &Learning) -> Result<Self> {
        let (z, c, d) = (self.latents, self.inputs, self.outputs);
        let inference = self.inference()?;
        let (residual, m) = self.residual_moments(data)?;
        let (n, (a, r)) = (m[(0, 0)], self.expected_moments(&inference, &residual, &m));
        // x − x̄ = Λ [z; 1; c − c̄] + ε. Free columns are regressed on the residuals of the fixed ones.
        let mut lambda = self.centred_regression(&residual); // [D, Z+1+C]
        let free: Vec<usize> = (0..z + 1 + c)
            .filter(|k| {
                if *k < z {
                    learning.loadings
                } else {
                    learning.coefficients
                }
            })
            .collect();
        if !free.is_empty() {
            let mut fixed = lambda.clone();
            free.iter().for_each(|k| fixed.column_mut(*k).fill(0.0));
            let target = &r - &a * fixed.transpose(); // [Z+1+C, D]
            let solution = least_squares(&a.select_rows(&free).select_columns(&free), &target.select_rows(&free));
            for (k, column) in free.iter().zip(solution.column_iter()) {
                lambda.set_column(*k, &column);
            }
        }
        let mut model = self.clone();
        for j in 0..d {
            model.loadings[j * z..(j + 1) * z]
                .copy_from_slice(&lambda.row(j).iter().copied().take(z).collect::<Vec<_>>());
            let row = &mut model.coefficients[j * (c + 1)..(j + 1) * (c + 1)];
            row[c] = data.shift[c + j] + lambda[(j, z)];
            for i in 0..c {
                row[i] = lambda[(j, z + 1 + i)];
                row[c] -= row[i] * data.shift[i];
            }
        }
        if learning.noise != Noise::Fixed {
            let variance = |j: usize| m[(1 + c + j, 1 + c + j)] / n - (m[(0, 1 + c + j)] / n).powi(2);
            let floor: Vec<f64> = (0..d).map(|j| LEAST_NOISE * variance(j)).collect();
            // diag E[(x − Λ r)(x − Λ r)ᵀ] = diag(xxᵀ) − 2 diag(Λ r) + diag(Λ a Λᵀ)
            let (cross, square) = (&lambda * &r, &lambda * &a * lambda.transpose());
            let scatter = |j: usize| m[(1 + c + j, 1 + c + j)] - 2.0 * cross[(j, j)] + square[(j, j)];
            let noise: Vec<f64> = (0..d).map(|j| scatter(j) / n).collect();
            let mean = |of: &[f64]| of.iter().sum::<f64>() / d as f64;
            model.noise_variances = match learning.noise {
                Noise::Spherical => vec![mean(&noise).max(mean(&floor)); d],
                _ => noise.iter().zip(&floor).map(|(v, least)| v.max(*least)).collect(),
            };
        }
        model.check().map(|()| model)
    }

    /// `[x̄ − V c̄ − b, −V, I]`, `[D, P]`, which turns u into e, and the moments 𝓜, `[P, P]`.
    fn residual_moments(&self, data: &Observations) -> Result<(DMatrix<f64>, DMatrix<f64>)> {
        let (c, d) = (self.inputs, self.outputs);
        if data.columns() != (c, d) {
            return Err(Error::Data(format!(
                "the model explains {d} columns given {c}, the data have {} given {}",
                data.columns().1,
                data.columns().0
            )));
        }
        let p = 1 + c + d;
        let mut residual = DMatrix::zeros(d, p);
        for (j, a) in self.coefficients.chunks_exact(c + 1).enumerate() {
            residual[(j, 0)] = data.shift[c + j] - a[c];
            for i in 0..c {
                residual[(j, 0)] -= a[i] * data.shift[i];
                residual[(j, 1 + i)] = -a[i];
            }
            residual[(j, 1 + c + j)] = 1.0;
        }
        Ok((residual, matrix(&data.moments, p, p)))
    }

    /// `Σ w E[r rᵀ]`, `[Z+1+C, Z+1+C]`, and `Σ w E[r (x − x̄)ᵀ]`, `[Z+1+C, D]`, of the regressors `r = [z; 1; c − c̄]`.
    fn expected_moments(
        &self,
        inference: &Inference,
        residual: &DMatrix<f64>,
        m: &DMatrix<f64>,
    ) -> (DMatrix<f64>, DMatrix<f64>) {
        let (z, c, d) = (self.latents, self.inputs, self.outputs);
        let t = &inference.gain * residual; // [Z, P]
        let zu = &t * m; // [Z, P]
        let zz = &zu * t.transpose() + &inference.covariance * m[(0, 0)];
        let mut a = DMatrix::zeros(z + 1 + c, z + 1 + c);
        a.view_mut((0, 0), (z, z)).copy_from(&zz);
        a.view_mut((0, z), (z, 1 + c)).copy_from(&zu.columns(0, 1 + c));
        a.view_mut((z, 0), (1 + c, z))
            .copy_from(&zu.columns(0, 1 + c).transpose());
        a.view_mut((z, z), (1 + c, 1 + c))
            .copy_from(&m.view((0, 0), (1 + c, 1 + c)));
        let mut r = DMatrix::zeros(z + 1 + c, d);
        r.view_mut((0, 0), (z, d)).copy_from(&zu.columns(1 + c, d));
        r.view_mut((z, 0), (1 + c, d))
            .copy_from(&m.view((0, 1 + c), (1 + c, d)));
        (a, r)
    }

    /// `Λ = [W, b − x̄ + V c̄, V]`, `[D, Z+1+C]`.
    fn centred_regression(&self, residual: &DMatrix<f64>) -> DMatrix<f64> {
        let (z, c, d) = (self.latents, self.inputs, self.outputs);
        let mut lambda = DMatrix::zeros(d, z + 1 + c);
        lambda.columns_mut(0, z).copy_from(&matrix(&self.loadings, d, z));
        lambda.columns_mut(z, 1 + c).copy_from(&-residual.columns(0, 1 + c));
        lambda
    }
}
