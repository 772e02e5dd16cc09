//! Which latents z to consider, and with what weight, given x.
//!
//! A posterior sees a [`Joint`](crate::model::Joint) and hands over weighted [`Draws`]. It can be stale (`refresh_every`: it
//! sees an older θ) and tempered (`temperature`: weights ∝ p(z|x)^{1/T}); both are options of every kind. A posterior is
//! added by a file with its options, which say what the kind needs of a model and what its draws are ([`PosteriorKind`]),
//! and by a line in [`KINDS`].

pub mod amortised;
mod approximate_kalman;
mod common;
mod distribution;
mod draws;
pub mod exact;
pub mod filter;
mod from_exact;
mod gaussian_latent;
pub mod hamiltonian;
pub mod hard;
pub mod importance;
mod kind;
pub mod locally_optimal;
pub mod particle;
mod paths;
pub mod prior;
mod recognition;
pub mod sampled;
mod schedule;
pub mod sequence;
mod trajectory;

pub use amortised::{Fit, Phase};
pub use common::Common;
pub use distribution::Distribution;
pub use draws::{Draws, Stepwise};
pub use kind::{ApproximateLikelihood, DrawsOf, Facts, KINDS, Network, PosteriorConfig, PosteriorKind};
use recognition::log_q;
pub use recognition::{POSTERIOR, Recognition};
pub use schedule::Schedule;
