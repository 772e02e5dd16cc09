//! A state space whose mean functions are linear in their coefficients: `x_{t+1} ~ N(W φ(x_t, u_t, t), Q)`,
//! `o_t ~ N(V ψ(x_t, u_t, t), R)`. Given trajectories, (W, Q) and (V, R) are linear regressions.

use super::{Basis, Dynamics};
use crate::math::kalman::Conditional;
use nalgebra::{DMatrix, DVector};

/// A state space of two functions.
#[derive(Debug, Clone)]
pub struct BasisSystem {
    /// φ and ψ.
    pub functions: [Basis; 2],
    /// `x_1` given `[1]`, `x_{t+1}` given φ, `o_t` given ψ.
    pub conditionals: [Conditional; 3],
}

impl BasisSystem {
    fn mean(&self, number: usize, t: usize, x: &[f64], u: &[f64], to: &mut [f64]) {
        let (function, w) = (&self.functions[number], &self.conditionals[number + 1].coefficients);
        let n = x.len() / function.states();
        let mut features = vec![0.0; w.ncols() * n];
        function.features(t, x, u, &mut features);
        for (i, to) in to.chunks_exact_mut(n).enumerate() {
            to.fill(0.0);
            for (j, feature) in features.chunks_exact(n).enumerate() {
                to.iter_mut().zip(feature).for_each(|(to, f)| *to += w[(i, j)] * f);
            }
        }
    }

    fn jacobian(&self, number: usize, t: usize, x: &[f64], u: &[f64]) -> DMatrix<f64> {
        &self.conditionals[number + 1].coefficients * self.functions[number].jacobian(t, x, u)
    }
}

impl Dynamics for BasisSystem {
    fn states(&self) -> usize {
        self.conditionals[1].coefficients.nrows()
    }

    fn outputs(&self) -> usize {
        self.conditionals[2].coefficients.nrows()
    }

    fn initial_mean(&self) -> DVector<f64> {
        self.conditionals[0].coefficients.column(0).into_owned()
    }

    fn initial_covariance(&self) -> &DMatrix<f64> {
        &self.conditionals[0].noise
    }

    fn transition_noise(&self) -> &DMatrix<f64> {
        &self.conditionals[1].noise
    }

    fn emission_noise(&self) -> &DMatrix<f64> {
        &self.conditionals[2].noise
    }

    fn transition(&self, t: usize, x: &[f64], u: &[f64], to: &mut [f64]) {
        self.mean(0, t, x, u, to);
    }

    fn transition_jacobian(&self, t: usize, x: &[f64], u: &[f64]) -> DMatrix<f64> {
        self.jacobian(0, t, x, u)
    }

    fn emission(&self, t: usize, x: &[f64], u: &[f64], to: &mut [f64]) {
        self.mean(1, t, x, u, to);
    }

    fn emission_jacobian(&self, t: usize, x: &[f64], u: &[f64]) -> DMatrix<f64> {
        self.jacobian(1, t, x, u)
    }
}
