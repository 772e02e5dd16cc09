//! Sigma points: 2n + 1 weighted points with the mean and covariance of a Gaussian (Julier & Uhlmann 1997; scaled form:
//! Wan & van der Merwe 2000). With λ = α² (n + κ) − n they lie at `m` and `m ± √(n + λ) F_j`, F Fᵀ = P, with weights
//! `λ / (n + λ)` and `1 / (2 (n + λ))`; for covariances the first weight is larger by `1 − α² + β`. The means of
//! functions up to second order are exact; with α = 1, κ = 3 − n, fourth moments along each axis are exact as well.

use crate::math::linear_algebra::square_root;
use nalgebra::{DMatrix, DVector};

/// The placement of the points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SigmaPoints {
    /// α, the scale of the distance from the mean: 1 is unscaled.
    pub alpha: f64,
    /// β, the correction for the fourth moment.
    pub beta: f64,
    /// κ; by default 3 − n, but not below 0.
    pub kappa: Option<f64>,
}

impl Default for SigmaPoints {
    fn default() -> Self {
        Self {
            alpha: 1.0,
            beta: 0.0,
            kappa: None,
        }
    }
}

/// Points and their weights.
#[derive(Debug, Clone)]
pub(super) struct Points {
    /// Feature-major. `[n, 2n + 1]`
    pub values: Vec<f64>,
    /// For means.
    pub weights: Vec<f64>,
    /// Added to the first weight for covariances.
    pub surplus: f64,
}

impl SigmaPoints {
    /// The points of N(mean, covariance).
    pub(super) fn of(&self, mean: &DVector<f64>, covariance: &DMatrix<f64>) -> Points {
        let n = mean.len();
        let kappa = self.kappa.unwrap_or((3.0 - n as f64).max(0.0));
        let reach = self.alpha.powi(2) * (n as f64 + kappa); // n + λ
        let root = square_root(covariance) * reach.sqrt();
        let count = 2 * n + 1;
        let mut values = vec![0.0; n * count];
        for (i, row) in values.chunks_exact_mut(count).enumerate() {
            row.fill(mean[i]);
            for j in 0..n {
                row[1 + j] += root[(i, j)];
                row[1 + n + j] -= root[(i, j)];
            }
        }
        let mut weights = vec![0.5 / reach; count];
        weights[0] = 1.0 - n as f64 / reach;
        Points {
            values,
            weights,
            surplus: 1.0 - self.alpha.powi(2) + self.beta,
        }
    }
}
