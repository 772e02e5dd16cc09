//! The linear-Gaussian latent-variable model, whose integral over z has a closed form: probabilistic principal
//! components (Tipping & Bishop 1999) where all noise variances are equal, factor analysis (Rubin & Thayer 1982) where
//! they are not.
//!
//! `z ~ N(0, I)` in R^Z, `x = W z + V c + b + ε`, `ε ~ N(0, Ψ)`, Ψ diagonal, x in R^D, given c in R^C (C may be 0). So
//! `p(x|c) = N(V c + b, W Wᵀ + Ψ)` and, with `e = x − V c − b`, `M = I + Wᵀ Ψ⁻¹ W` and `m = M⁻¹ Wᵀ Ψ⁻¹ e`,
//! - `p(z|x) = N(m, M⁻¹)` (Tipping & Bishop 1999, eqs. 5 and 25; there for `Ψ = σ² I` and `M` times `σ²`);
//! - `log p(x) = −½ [D log 2π + log |Ψ| + log |M| + (e − W m)ᵀ Ψ⁻¹ (e − W m) + mᵀ m]`: the determinant lemma, and
//!   `eᵀ (W Wᵀ + Ψ)⁻¹ e` as the least value over z of the exponent of `p(x, z)`, a sum of squares without cancellation.
//!
//! Nothing `[D, D]` is formed: a row costs O(D Z). Maximum likelihood is in `em` (one closed iteration) and `optimum`
//! (eigenvectors); this file holds the density, the posterior and the gradient.

mod em;
mod optimum;
#[cfg(test)]
mod tests;

use super::linear_algebra::{cholesky, inverse_lower, matrix, values};
use super::probability::LN_2PI;
use super::rows::Rows;
use crate::{Error, Result};
use nalgebra::DMatrix;

pub use em::{Learning, Noise};

/// The parameters of `x = W z + V c + b + ε`, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearLatent {
    /// Dimension of z, Z.
    pub latents: usize,
    /// Columns of c, C; 0 where x is not conditioned on anything.
    pub inputs: usize,
    /// Columns of x, D.
    pub outputs: usize,
    /// `W`, `[D, Z]`.
    pub loadings: Vec<f64>,
    /// `[V, b]`, `[D, C+1]`; the last column is the intercept.
    pub coefficients: Vec<f64>,
    /// The diagonal of Ψ, `[D]`.
    pub noise_variances: Vec<f64>,
}

/// `p(z | x_b) = N(m_b, S)` of every row; the covariance is the same for all.
#[derive(Debug, Clone, PartialEq)]
pub struct Posterior {
    /// `m`, `[B, Z]`.
    pub means: Vec<f64>,
    /// `S`, `[Z, Z]`.
    pub covariance: Vec<f64>,
}

/// `Σ_b g_b ∇ log p(x_b | c_b)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradient {
    /// With respect to `W`, `[D, Z]`.
    pub loadings: Vec<f64>,
    /// With respect to `[V, b]`, `[D, C+1]`.
    pub coefficients: Vec<f64>,
    /// With respect to `½ log Ψ_jj`, `[D]`; for a standard deviation that columns share, the gradient is the sum of
    /// theirs.
    pub log_deviations: Vec<f64>,
}

/// The quantities of inference that all rows share.
struct Inference {
    /// `β = M⁻¹ Wᵀ Ψ⁻¹`, `[Z, D]`: `m = β e`.
    gain: DMatrix<f64>,
    /// `S = M⁻¹`, `[Z, Z]`.
    covariance: DMatrix<f64>,
    /// `−½ [D log 2π + log |Ψ| + log |M|]`, nats.
    constant: f64,
}

impl LinearLatent {
    /// Checks sizes and variances.
    ///
    /// # Errors
    /// Says which array has the wrong size, or which variance is not positive.
    pub fn check(&self) -> Result<()> {
        let (z, c, d) = (self.latents, self.inputs, self.outputs);
        for (name, found, expected) in [
            ("loadings", self.loadings.len(), d * z),
            ("coefficients", self.coefficients.len(), d * (c + 1)),
            ("noise variances", self.noise_variances.len(), d),
        ] {
            if found != expected || z == 0 || d == 0 {
                return Err(Error::Data(format!(
                    "a linear model with Z={z} latents, C={c} inputs and D={d} outputs needs Z, D ≥ 1 and {expected} \
                     {name}, not {found}"
                )));
            }
        }
        match self.noise_variances.iter().position(|v| !(v.is_normal() && *v > 0.0)) {
            None => Ok(()),
            Some(j) => Err(Error::Data(format!(
                "the noise variance of column {j} is {}: expected a positive number; raise the floor, or drop columns \
                 that are constant or depend on others",
                self.noise_variances[j]
            ))),
        }
    }

    /// `log p(x_b | c_b)` of every row, `[B]`, nats.
    ///
    /// # Errors
    /// If sizes do not fit, or a variance is not positive.
    pub fn log_likelihood(&self, x: Rows, c: Option<Rows>) -> Result<Vec<f64>> {
        let inference = self.inference()?;
        let mut log_likelihoods = Vec::with_capacity(x.count());
        self.each_row(&inference, x, c, |row| {
            let misfit: f64 = row.residual.iter().zip(row.precise).map(|(r, a)| r * a).sum();
            let size: f64 = row.mean.iter().map(|m| m * m).sum();
            log_likelihoods.push(inference.constant - 0.5 * (misfit + size));
        })?;
        Ok(log_likelihoods)
    }

    /// `p(z | x_b, c_b)` of every row.
    ///
    /// # Errors
    /// If sizes do not fit, or a variance is not positive.
    pub fn posterior(&self, x: Rows, c: Option<Rows>) -> Result<Posterior> {
        let inference = self.inference()?;
        let mut means = Vec::with_capacity(x.count() * self.latents);
        self.each_row(&inference, x, c, |row| means.extend_from_slice(row.mean))?;
        Ok(Posterior {
            means,
            covariance: values(&inference.covariance),
        })
    }

    /// `Σ_b g_b ∇ log p(x_b | c_b)` for row weights g of any sign, `[B]`.
    ///
    /// With `Σ = W Wᵀ + Ψ` and `α = Σ⁻¹ e = Ψ⁻¹ (e − W m)`: `∇_Σ log p = ½ (α αᵀ − Σ⁻¹)`, hence `∇_W = α mᵀ − Σ⁻¹ W`
    /// since `Wᵀ α = m`, `∇_[V, b] = α [c; 1]ᵀ` and `∂/∂ log σ_j = ψ_j (α_j² − Σ⁻¹_jj)`, where `Σ⁻¹ W = βᵀ`.
    ///
    /// # Errors
    /// If sizes do not fit, or a variance is not positive.
    pub fn gradient(&self, x: Rows, c: Option<Rows>, weights: &[f64]) -> Result<Gradient> {
        let (z, d) = (self.latents, self.outputs);
        if weights.len() != x.count() {
            return Err(Error::Data(format!(
                "{} weights for {} rows: expected one per row",
                weights.len(),
                x.count()
            )));
        }
        let inference = self.inference()?;
        let mut gradient = Gradient {
            loadings: vec![0.0; d * z],
            coefficients: vec![0.0; d * (self.inputs + 1)],
            log_deviations: vec![0.0; d],
        };
        let mut weights_left = weights.iter();
        self.each_row(&inference, x, c, |row| {
            let g = weights_left.next().copied().unwrap_or_default();
            for (j, alpha) in row.precise.iter().enumerate() {
                let loadings = &mut gradient.loadings[j * z..(j + 1) * z];
                add_scaled(loadings, g * alpha, row.mean);
                let (intercept, slopes) = gradient.coefficients[j * (self.inputs + 1)..(j + 1) * (self.inputs + 1)]
                    .split_last_mut()
                    .expect("C + 1 entries");
                add_scaled(slopes, g * alpha, row.given);
                *intercept += g * alpha;
                gradient.log_deviations[j] += g * alpha * alpha;
            }
        })?;
        let total: f64 = weights.iter().sum();
        let w = matrix(&self.loadings, d, z);
        for (j, psi) in self.noise_variances.iter().enumerate() {
            let beta = inference.gain.column(j);
            add_scaled(&mut gradient.loadings[j * z..(j + 1) * z], -total, beta.as_slice());
            let precision = (1.0 - w.row(j).transpose().dot(&beta)) / psi; // Σ⁻¹_jj
            gradient.log_deviations[j] = psi * (gradient.log_deviations[j] - total * precision);
        }
        Ok(gradient)
    }

    fn inference(&self) -> Result<Inference> {
        self.check()?;
        let (z, d) = (self.latents, self.outputs);
        let w = matrix(&self.loadings, d, z);
        let scaled = DMatrix::from_fn(d, z, |j, k| w[(j, k)] / self.noise_variances[j]); // Ψ⁻¹ W
        let l = cholesky(DMatrix::identity(z, z) + w.tr_mul(&scaled)).ok_or_else(|| {
            Error::Data("the loadings overflow or are not finite: bring the columns to a smaller scale".into())
        })?;
        let inverse = inverse_lower(&l);
        let covariance = inverse.tr_mul(&inverse);
        let log_determinants: f64 =
            self.noise_variances.iter().map(|v| v.ln()).sum::<f64>() + 2.0 * l.diagonal().map(f64::ln).sum();
        Ok(Inference {
            gain: &covariance * scaled.transpose(),
            covariance,
            constant: -0.5 * (d as f64 * LN_2PI + log_determinants),
        })
    }

    /// Calls `visit` with every row's posterior mean and residuals.
    fn each_row(&self, inference: &Inference, x: Rows, c: Option<Rows>, mut visit: impl FnMut(Row)) -> Result<()> {
        let c = c.unwrap_or(Rows {
            values: &[],
            columns: 0,
        });
        if x.columns != self.outputs || c.columns != self.inputs || (c.columns > 0 && c.count() != x.count()) {
            return Err(Error::Data(format!(
                "the model explains {} columns given {}: {} rows of {} columns given {} rows of {} do not fit",
                self.outputs,
                self.inputs,
                x.count(),
                x.columns,
                c.count(),
                c.columns
            )));
        }
        let (mut e, mut alpha, mut m) = (
            vec![0.0; self.outputs],
            vec![0.0; self.outputs],
            vec![0.0; self.latents],
        );
        for b in 0..x.count() {
            let given = c.row(b);
            for ((e, x), a) in e
                .iter_mut()
                .zip(x.row(b))
                .zip(self.coefficients.chunks_exact(self.inputs + 1))
            {
                *e = x - dot(&a[..self.inputs], given) - a[self.inputs];
            }
            m.fill(0.0);
            for (e, beta) in e.iter().zip(inference.gain.as_slice().chunks_exact(self.latents)) {
                add_scaled(&mut m, *e, beta);
            }
            for (j, (e, w)) in e.iter_mut().zip(self.loadings.chunks_exact(self.latents)).enumerate() {
                *e -= dot(w, &m);
                alpha[j] = *e / self.noise_variances[j];
            }
            visit(Row {
                given,
                mean: &m,
                residual: &e,
                precise: &alpha,
            });
        }
        Ok(())
    }
}

/// One row with the posterior of its latent variable.
struct Row<'a> {
    /// `c`, `[C]`.
    given: &'a [f64],
    /// `m`, `[Z]`.
    mean: &'a [f64],
    /// `e − W m`, `[D]`.
    residual: &'a [f64],
    /// `α = Ψ⁻¹ (e − W m)`, `[D]`.
    precise: &'a [f64],
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `into += scale · values`.
fn add_scaled(into: &mut [f64], scale: f64, values: &[f64]) {
    for (i, v) in into.iter_mut().zip(values) {
        *i += scale * v;
    }
}
