//! Named random streams, stable densities, small f64 linear algebra, closed-form EM for linear-Gaussian mixtures,
//! linear-Gaussian state space ([`kalman`]), approximate inference in any state space with Gaussian noise
//! ([`nonlinear`]), and `log p(x) = log ∫ p(x|z) p(z) dz` exactly: in closed form where all is linear
//! ([`linear_latent`]), by [`quadrature`] where z has one or two dimensions.
//!
//! EM for a mixture: call [`rows::Observations::new`] and [`initial::initial`], then alternate [`sweep::sweep`]
//! (E-step) and [`m_step::maximize`] (M-step).

mod block;
pub(crate) mod elementary;
pub mod formula;
mod hypercube;
pub mod initial;
mod k_means;
pub mod kalman;
mod linear_algebra;
pub mod linear_latent;
pub mod linear_mixture;
pub mod m_step;
pub mod nonlinear;
mod parallel;
mod probability;
pub mod quadrature;
pub mod rows;
pub mod streams;
pub mod sweep;
pub mod vectors;

pub use hypercube::{latin_hypercube, normal_quantile};
pub use linear_algebra::ridge_regression;
pub use probability::{LN_2PI, index_at, log_sum_exp, softmax};
