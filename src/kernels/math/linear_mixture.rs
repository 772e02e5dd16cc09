//! Mixtures of linear-Gaussian regressions, the family whose maximisation step has a closed form.
//!
//! `z ~ Categorical(w)`, `y | x, z=k ~ N(B_k [x; 1], Σ_k)` with y in R^D and x in R^C. One component is linear
//! regression; without x (C = 0) `B_k` is the mean and the family is the Gaussian mixture.

use super::linear_algebra::{cholesky, inverse_lower, matrix, values};
use super::probability::LN_2PI;
use super::rows::Observations;
use crate::{Error, Result};

/// The structure of the components' covariances.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Covariance {
    /// Each component has any covariance.
    #[default]
    Full,
    /// All components share one covariance of any shape.
    Tied,
    /// Each component has its own variance per dimension and no correlations.
    Diagonal,
    /// Each component has one variance for all dimensions.
    Spherical,
}

/// The parameters of a mixture of linear regressions, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearMixture {
    /// Columns of x, C; 0 for a plain Gaussian mixture.
    pub inputs: usize,
    /// Columns of y, D.
    pub outputs: usize,
    /// The structure that `covariances` has.
    pub covariance: Covariance,
    /// Probabilities of the components, `[K]`.
    pub weights: Vec<f64>,
    /// `B`, `[K, D, C+1]`; the last column is the intercept, which is the mean if C = 0.
    pub coefficients: Vec<f64>,
    /// `Σ`, `[K, D, D]`, dense and symmetric for any structure.
    pub covariances: Vec<f64>,
}

impl LinearMixture {
    /// The number of components K.
    pub fn components(&self) -> usize {
        self.weights.len()
    }

    /// `B_k`, `[D, C+1]`.
    pub fn coefficient(&self, k: usize) -> &[f64] {
        let size = self.outputs * (self.inputs + 1);
        &self.coefficients[k * size..(k + 1) * size]
    }

    /// `Σ_k`, `[D, D]`.
    pub fn covariance(&self, k: usize) -> &[f64] {
        let size = self.outputs * self.outputs;
        &self.covariances[k * size..(k + 1) * size]
    }

    /// The number of free parameters, for information criteria.
    pub fn free_parameters(&self) -> usize {
        let (k, d) = (self.components(), self.outputs);
        let covariances = match self.covariance {
            Covariance::Full => k * d * (d + 1) / 2,
            Covariance::Tied => d * (d + 1) / 2,
            Covariance::Diagonal => k * d,
            Covariance::Spherical => k,
        };
        k - 1 + k * d * (self.inputs + 1) + covariances
    }

    /// Checks sizes and the weights.
    ///
    /// # Errors
    /// Says which array has the wrong size, or that the weights are no probabilities.
    pub fn check(&self) -> Result<()> {
        let (k, c, d) = (self.components(), self.inputs, self.outputs);
        for (name, found, expected) in [
            ("coefficients", self.coefficients.len(), k * d * (c + 1)),
            ("covariances", self.covariances.len(), k * d * d),
        ] {
            if found != expected || k == 0 || d == 0 {
                return Err(Error::Data(format!(
                    "a mixture of K={k} components with C={c} inputs and D={d} outputs needs K, D ≥ 1 and \
                     {expected} {name}, not {found}"
                )));
            }
        }
        let diagonal = matches!(self.covariance, Covariance::Diagonal | Covariance::Spherical);
        let correlated = |at: &usize| (at / d) % d != at % d && self.covariances[*at] != 0.0;
        if let Some(at) = (0..k * d * d).find(correlated).filter(|_| diagonal) {
            return Err(Error::Data(format!(
                "the covariance of component {} is called {:?} but has a correlation: expected zeros off its diagonal",
                at / (d * d),
                self.covariance
            )));
        }
        let total: f64 = self.weights.iter().sum();
        if self.weights.iter().any(|w| w.is_nan() || *w < 0.0) || (total - 1.0).abs() > 1e-6 {
            return Err(Error::Data(format!(
                "mixture weights {:?}: expected probabilities that sum to 1",
                self.weights
            )));
        }
        Ok(())
    }

    /// Every component as a map that whitens `u = [1; x − x̄; y − ȳ]`.
    pub(super) fn whiten(&self, data: &Observations) -> Result<Vec<Whitened>> {
        self.check()?;
        if data.columns() != (self.inputs, self.outputs) {
            return Err(Error::Data(format!(
                "the mixture models {} columns given {}, the data have {} given {}",
                self.outputs,
                self.inputs,
                data.columns().1,
                data.columns().0
            )));
        }
        (0..self.components())
            .map(|k| self.whiten_one(k, &data.shift))
            .collect()
    }

    fn whiten_one(&self, k: usize, shift: &[f64]) -> Result<Whitened> {
        let d = self.outputs;
        let l = cholesky(matrix(self.covariance(k), d, d)).ok_or_else(|| {
            Error::Data(format!(
                "the covariance of component {k} is not positive definite: raise the floor, or drop columns that are \
                 constant or depend on others"
            ))
        })?;
        let log_scale: f64 = l.diagonal().iter().map(|v| v.ln()).sum();
        let map = inverse_lower(&l) * matrix(&self.residual_map(k, shift), d, 1 + shift.len());
        Ok(Whitened {
            map: values(&map),
            constant: self.weights[k].ln() - log_scale - 0.5 * d as f64 * LN_2PI,
        })
    }

    /// `[ȳ − B x̄ − b, −B, I]`, `[D, P]`: what turns `u` into the residual `y − B x − b`.
    pub(super) fn residual_map(&self, k: usize, shift: &[f64]) -> Vec<f64> {
        let (c, d) = (self.inputs, self.outputs);
        let p = 1 + c + d;
        let mut map = vec![0.0; d * p];
        for (j, (row, b)) in map
            .chunks_exact_mut(p)
            .zip(self.coefficient(k).chunks_exact(c + 1))
            .enumerate()
        {
            row[0] = shift[c + j] - b[c];
            for i in 0..c {
                row[0] -= b[i] * shift[i];
                row[1 + i] = -b[i];
            }
            row[1 + c + j] = 1.0;
        }
        map
    }
}

/// One component, prepared for evaluation: `log w_k N(y; B [x; 1], Σ) = constant − ½ |map · u|²`.
#[derive(Debug, Clone)]
pub(super) struct Whitened {
    /// `L⁻¹ [ȳ − B x̄ − b, −B, I]`, `[D, P]`; zero right of column `1 + C + j` in row `j`.
    pub map: Vec<f64>,
    /// `log w − ½ log |2π Σ|`, nats.
    pub constant: f64,
}

impl Whitened {
    /// `log w N(y; B [x; 1], Σ)` of one row `u`, `[P]`, nats.
    pub(super) fn log_joint(&self, u: &[f64]) -> f64 {
        let residual = |row: &[f64]| row.iter().zip(u).map(|(m, u)| m * u).sum::<f64>();
        self.constant
            - 0.5
                * self
                    .map
                    .chunks_exact(u.len())
                    .map(|row| residual(row).powi(2))
                    .sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_parameters_are_named() {
        let good = LinearMixture {
            inputs: 0,
            outputs: 2,
            covariance: Covariance::Diagonal,
            weights: vec![0.5; 2],
            coefficients: vec![0.0; 4],
            covariances: vec![1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0],
        };
        good.check().unwrap();
        let fault = |change: fn(&mut LinearMixture)| {
            let mut bad = good.clone();
            change(&mut bad);
            bad.check().unwrap_err().to_string()
        };
        assert!(fault(|m| m.weights[0] = 0.6).contains("sum to 1"));
        assert!(fault(|m| m.weights[0] = f64::NAN).contains("sum to 1"));
        assert!(fault(|m| m.coefficients.truncate(3)).contains("4 coefficients, not 3"));
        assert!(fault(|m| m.covariances[5] = 0.1).contains("component 1 is called Diagonal but has a correlation"));
    }

    #[test]
    fn counts_free_parameters() {
        let count = |covariance| {
            let (k, c, d) = (3, 1, 2);
            LinearMixture {
                inputs: c,
                outputs: d,
                covariance,
                weights: vec![1.0 / 3.0; k],
                coefficients: vec![0.0; k * d * (c + 1)],
                covariances: vec![0.0; k * d * d],
            }
            .free_parameters()
        };
        assert_eq!(
            [
                Covariance::Full,
                Covariance::Tied,
                Covariance::Diagonal,
                Covariance::Spherical
            ]
            .map(count),
            [23, 17, 20, 17]
        );
    }
}
