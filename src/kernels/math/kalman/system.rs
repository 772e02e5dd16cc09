//! The parameters of a linear-Gaussian state space, and the three conditional Gaussians they define.

use crate::math::linear_algebra::{cholesky, clip_eigenvalues, eigen, symmetric};
use crate::{Error, Result};
use nalgebra::{DMatrix, DVector};

/// The parameters of the model. X latent, O observed, U input dimensions.
#[derive(Debug, Clone, PartialEq)]
pub struct System {
    /// m₁. `[X]`
    pub initial_mean: DVector<f64>,
    /// P₁. `[X, X]`
    pub initial_covariance: DMatrix<f64>,
    /// A. `[X, X]`
    pub transition: DMatrix<f64>,
    /// B. `[X, U]`
    pub transition_input: DMatrix<f64>,
    /// b. `[X]`
    pub transition_offset: DVector<f64>,
    /// Q. `[X, X]`
    pub transition_noise: DMatrix<f64>,
    /// C. `[O, X]`
    pub emission: DMatrix<f64>,
    /// D. `[O, U]`
    pub emission_input: DMatrix<f64>,
    /// d. `[O]`
    pub emission_offset: DVector<f64>,
    /// R. `[O, O]`
    pub emission_noise: DMatrix<f64>,
}

/// A Gaussian whose mean is linear: `y | z ~ N(W z, Σ)`. The model is three of them: `x_1` given `[1]`, `x_{t+1}` given
/// `[x_t; u_t; 1]`, and `o_t` given the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditional {
    /// W. `[Y, Z]`
    pub coefficients: DMatrix<f64>,
    /// Σ. `[Y, Y]`
    pub noise: DMatrix<f64>,
}

impl System {
    /// X.
    pub fn states(&self) -> usize {
        self.transition.nrows()
    }

    /// O.
    pub fn outputs(&self) -> usize {
        self.emission.nrows()
    }

    /// U.
    pub fn inputs(&self) -> usize {
        self.transition_input.ncols()
    }

    /// `x_1` given `[1]`.
    pub fn initial_conditional(&self) -> Conditional {
        Conditional {
            coefficients: DMatrix::from_column_slice(self.states(), 1, self.initial_mean.as_slice()),
            noise: self.initial_covariance.clone(),
        }
    }

    /// `x_{t+1}` given `[x_t; u_t; 1]`.
    pub fn transition_conditional(&self) -> Conditional {
        Conditional {
            coefficients: beside(&self.transition, &self.transition_input, &self.transition_offset),
            noise: self.transition_noise.clone(),
        }
    }

    /// `o_t` given `[x_t; u_t; 1]`.
    pub fn emission_conditional(&self) -> Conditional {
        Conditional {
            coefficients: beside(&self.emission, &self.emission_input, &self.emission_offset),
            noise: self.emission_noise.clone(),
        }
    }

    /// All three conditional Gaussians.
    pub fn conditionals(&self) -> [Conditional; 3] {
        [
            self.initial_conditional(),
            self.transition_conditional(),
            self.emission_conditional(),
        ]
    }

    /// The system of these three conditional Gaussians.
    pub fn from_conditionals([initial, transition, emission]: [Conditional; 3]) -> Self {
        let x = transition.coefficients.nrows();
        let u = transition.coefficients.ncols() - x - 1;
        let (a, c) = (&transition.coefficients, &emission.coefficients);
        Self {
            initial_mean: initial.coefficients.column(0).into_owned(),
            initial_covariance: initial.noise,
            transition: a.columns(0, x).into_owned(),
            transition_input: a.columns(x, u).into_owned(),
            transition_offset: a.column(x + u).into_owned(),
            transition_noise: transition.noise,
            emission: c.columns(0, x).into_owned(),
            emission_input: c.columns(x, u).into_owned(),
            emission_offset: c.column(x + u).into_owned(),
            emission_noise: emission.noise,
        }
    }

    /// Checks for sizes that do not fit, numbers that are not finite, and matrices that are not covariances: P₁ and Q
    /// must be symmetric and positive semidefinite, R positive definite.
    pub fn check(&self) -> Result<()> {
        self.check_sizes_and_numbers()?;
        covariance("initial_covariance", &self.initial_covariance, false)?;
        covariance("transition_noise", &self.transition_noise, false)?;
        covariance("emission_noise", &self.emission_noise, true)
    }

    /// The first half of [`System::check`]: sizes that do not fit and numbers that are not finite.
    pub fn check_sizes_and_numbers(&self) -> Result<()> {
        let (x, o, u) = (self.states(), self.outputs(), self.inputs());
        let vectors = [
            ("initial_mean", &self.initial_mean, x),
            ("transition_offset", &self.transition_offset, x),
            ("emission_offset", &self.emission_offset, o),
        ];
        for (name, vector, expected) in vectors {
            if vector.len() != expected {
                return Err(wrong_size(name, &[vector.len()], &[expected]));
            }
            finite(name, vector.as_slice())?;
        }
        let matrices = [
            ("initial_covariance", &self.initial_covariance, x, x),
            ("transition", &self.transition, x, x),
            ("transition_input", &self.transition_input, x, u),
            ("transition_noise", &self.transition_noise, x, x),
            ("emission", &self.emission, o, x),
            ("emission_input", &self.emission_input, o, u),
            ("emission_noise", &self.emission_noise, o, o),
        ];
        for (name, matrix, rows, columns) in matrices {
            if matrix.shape() != (rows, columns) {
                return Err(wrong_size(name, &[matrix.nrows(), matrix.ncols()], &[rows, columns]));
            }
            finite(name, matrix.as_slice())?;
        }
        Ok(())
    }
}

/// Which entries of a vector with this covariance contribute to a direction without variance. A variance may be NaN if
/// it is positive but unknown.
pub fn without_variance(covariance: &DMatrix<f64>) -> Vec<bool> {
    let n = covariance.nrows();
    let deviations = covariance.diagonal().map(f64::sqrt);
    let correlations = DMatrix::from_fn(n, n, |i, j| {
        match covariance[(i, j)] / (deviations[i] * deviations[j]) {
            correlation if correlation.is_finite() => correlation,
            _ => f64::from(u8::from(i == j)),
        }
    });
    let (v, e) = eigen(symmetric(correlations));
    let in_null = |i: usize| (0..n).filter(|&k| e[k] < 1e-12).map(|k| v[(i, k)].powi(2)).sum::<f64>() > 1e-9;
    (0..n).map(|i| covariance[(i, i)] == 0.0 || in_null(i)).collect()
}

/// `[left right offset]`.
fn beside(left: &DMatrix<f64>, right: &DMatrix<f64>, offset: &DVector<f64>) -> DMatrix<f64> {
    let mut all = DMatrix::zeros(left.nrows(), left.ncols() + right.ncols() + 1);
    all.columns_mut(0, left.ncols()).copy_from(left);
    all.columns_mut(left.ncols(), right.ncols()).copy_from(right);
    all.set_column(left.ncols() + right.ncols(), offset);
    all
}

fn wrong_size(name: &str, came: &[usize], expected: &[usize]) -> Error {
    Error::Other(format!("`{name}` has the shape {came:?}, expected {expected:?}"))
}

fn finite(name: &str, values: &[f64]) -> Result<()> {
    match values.iter().find(|v| !v.is_finite()) {
        Some(value) => Err(Error::Other(format!("`{name}` holds {value}, expected finite numbers"))),
        None => Ok(()),
    }
}

fn covariance(name: &str, matrix: &DMatrix<f64>, definite: bool) -> Result<()> {
    let largest = matrix.amax();
    if (matrix - matrix.transpose()).amax() > 1e-9 * largest {
        return Err(Error::Other(format!(
            "`{name}` is not symmetric; write both halves of a covariance"
        )));
    }
    let (kind, holds) = if definite {
        ("definite", cholesky(matrix.clone()).is_some())
    } else {
        // Rounding may leave an eigenvalue of 0 a little below 0.
        ("semidefinite", !clip_eigenvalues(matrix.clone(), -1e-12 * largest).1)
    };
    holds.then_some(()).ok_or_else(|| {
        Error::Other(format!(
            "`{name}` is not positive {kind}; a covariance has no negative variance in any direction"
        ))
    })
}
