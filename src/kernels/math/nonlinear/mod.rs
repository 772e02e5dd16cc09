//! State space with Gaussian noise whose means need not be linear: approximate inference, in f64.
//!
//! `x_1 ~ N(m_1, P_1)`, `x_{t+1} = f_t(x_t, u_t) + w_t`, `o_t = g_t(x_t, u_t) + v_t`, `w_t ~ N(0, Q)`, `v_t ~ N(0, R)`,
//! over many sequences of any lengths, with missing entries and missing steps. Steps t count from 1.
//!
//! Inference uses a system through [`Dynamics`]. The linear [`System`] implements it too: there the Gaussian smoothers
//! are exact and the particles converge to them. Two methods give beliefs over trajectories: `gaussian` (linearisation
//! or sigma points) and `particle` (simulation). Where f and g are linear in their coefficients ([`BasisSystem`]),
//! learning again uses second moments (`moments`), and the M-step is that of the linear system. A state of one dimension
//! can be summed over a grid (`point_mass`).

mod basis;
mod estimate;
mod gaussian;
mod moments;
mod particle;
mod point_mass;
mod predict;
mod sigma;
mod simulate;
mod system;
#[cfg(test)]
mod tests;

pub use basis::{Basis, Features};
pub use estimate::{FILTERS, LogLikelihood, filter_repeatedly};
pub use gaussian::{Approximation, GaussianFiltered};
pub use moments::{expected_logs, points_of_paths, statistics};
pub use particle::{BootstrapFilter, Cloud};
pub use point_mass::{MomentFunction, Moments, ScalarSystem, TOLERANCE};
pub use predict::{Ensemble, Predictor};
pub use sigma::SigmaPoints;
pub use system::BasisSystem;

use crate::math::kalman::System;
use nalgebra::{DMatrix, DVector};

/// The interface of a state space with Gaussian noise to inference. Many states are passed side by side, feature-major
/// `[X, n]`.
pub trait Dynamics: std::fmt::Debug + Send + Sync {
    /// X.
    fn states(&self) -> usize;

    /// O.
    fn outputs(&self) -> usize;

    /// m₁. `[X]`
    fn initial_mean(&self) -> DVector<f64>;

    /// P₁; zero in deterministic directions. `[X, X]`
    fn initial_covariance(&self) -> &DMatrix<f64>;

    /// Q. `[X, X]`
    fn transition_noise(&self) -> &DMatrix<f64>;

    /// R. `[O, O]`
    fn emission_noise(&self) -> &DMatrix<f64>;

    /// f_t of the columns of `x` `[X, n]`, with the inputs `u` `[U]` of step t, into `to` `[X, n]`.
    fn transition(&self, t: usize, x: &[f64], u: &[f64], to: &mut [f64]);

    /// ∂f_t/∂x at `x` `[X]`. `[X, X]`
    fn transition_jacobian(&self, t: usize, x: &[f64], u: &[f64]) -> DMatrix<f64>;

    /// g_t of the columns of `x` `[X, n]`, into `to` `[O, n]`.
    fn emission(&self, t: usize, x: &[f64], u: &[f64], to: &mut [f64]);

    /// ∂g_t/∂x at `x` `[X]`. `[O, X]`
    fn emission_jacobian(&self, t: usize, x: &[f64], u: &[f64]) -> DMatrix<f64>;
}

impl Dynamics for System {
    fn states(&self) -> usize {
        System::states(self)
    }

    fn outputs(&self) -> usize {
        System::outputs(self)
    }

    fn initial_mean(&self) -> DVector<f64> {
        self.initial_mean.clone()
    }

    fn initial_covariance(&self) -> &DMatrix<f64> {
        &self.initial_covariance
    }

    fn transition_noise(&self) -> &DMatrix<f64> {
        &self.transition_noise
    }

    fn emission_noise(&self) -> &DMatrix<f64> {
        &self.emission_noise
    }

    fn transition(&self, _t: usize, x: &[f64], u: &[f64], to: &mut [f64]) {
        let (a, b) = (&self.transition, &self.transition_input);
        affine(a, b, &self.transition_offset, x, u, to);
    }

    fn transition_jacobian(&self, _t: usize, _x: &[f64], _u: &[f64]) -> DMatrix<f64> {
        self.transition.clone()
    }

    fn emission(&self, _t: usize, x: &[f64], u: &[f64], to: &mut [f64]) {
        let (c, d) = (&self.emission, &self.emission_input);
        affine(c, d, &self.emission_offset, x, u, to);
    }

    fn emission_jacobian(&self, _t: usize, _x: &[f64], _u: &[f64]) -> DMatrix<f64> {
        self.emission.clone()
    }
}

/// `a x + b u + c` for every column of `x` `[X, n]`, into `to` `[Y, n]`.
fn affine(a: &DMatrix<f64>, b: &DMatrix<f64>, c: &DVector<f64>, x: &[f64], u: &[f64], to: &mut [f64]) {
    let n = x.len() / a.ncols();
    for (i, to) in to.chunks_exact_mut(n).enumerate() {
        to.fill(c[i] + u.iter().enumerate().map(|(j, u)| b[(i, j)] * u).sum::<f64>());
        for (j, x) in x.chunks_exact(n).enumerate() {
            to.iter_mut().zip(x).for_each(|(to, x)| *to += a[(i, j)] * x);
        }
    }
}
