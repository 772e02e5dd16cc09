//! Linear-Gaussian state space: exact inference and closed-form learning, in f64.
//!
//! `x_1 ~ N(m_1, P_1)`, `x_{t+1} = A x_t + B u_t + b + w_t`, `o_t = C x_t + D u_t + d + v_t`, `w_t ~ N(0, Q)`,
//! `v_t ~ N(0, R)`, over many sequences of any lengths, with inputs, missing entries and missing steps.
//!
//! Data flow: [`System`] and [`Sequences`] → [`Filtered`] (Kalman 1960) → [`Beliefs`] (Rauch, Tung & Striebel 1965, or
//! draws by Frühwirth-Schnatter 1994) → [`Statistics`] → an updated system ([`Learning::maximize`], Shumway & Stoffer
//! 1982) or a gradient ([`Statistics::gradient`], equal to that of the likelihood by Fisher's identity).
//!
//! Covariances do not depend on the data. Each is computed once for all sequences with the same missing entries, until
//! the recursion has converged. The means of all these sequences are then advanced side by side.

mod beliefs;
mod draw;
mod expectation;
mod expected;
mod filter;
mod gains;
mod lanes;
mod m_step;
mod predict;
mod reverses;
mod sequences;
mod settling;
mod small;
mod spreads;
mod statistics;
mod subspace;
mod sums;
mod system;
#[cfg(test)]
pub(super) mod tests;

pub use beliefs::Beliefs;
pub use expectation::expectation;
pub(super) use expected::Density;
pub use expected::expected_logs;
pub use filter::Filtered;
pub use m_step::{Learning, Noise, NoiseForm, Regression};
pub use predict::{Forecast, Horizon, squared_errors};
pub use sequences::Sequences;
pub(super) use spreads::Spread;
pub use statistics::{ExpectedLog, Moments, Statistics};
pub use system::{Conditional, System, without_variance};
