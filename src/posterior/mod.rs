//! Which latents z to consider, and with what weight, given x.
//!
//! A posterior sees a [`Joint`](crate::model::Joint) and hands over weighted [`Draws`]. It can be stale (`refresh_every`: it
//! sees an older θ) and tempered (`temperature`: weights ∝ p(z|x)^{1/T}); both are options of every kind. A posterior is
//! added by a file with its options, which say what the kind needs of a model and what its draws are ([`PosteriorKind`]),
//! and by a line in [`KINDS`].

pub mod amortised;
mod approximate_kalman;
mod common;
mod draws;
pub mod exact;
pub mod filter;
mod from_exact;
mod gaussian_latent;
pub mod hamiltonian;
pub mod hard;
pub mod importance;
mod kind;
pub mod particle;
mod recognition;
pub mod sampled;
mod schedule;
mod trajectory;

pub use amortised::{Fit, Phase};
pub use common::Common;
pub use draws::Draws;
pub use kind::{ApproximateLikelihood, DrawsOf, Facts, KINDS, Network, PosteriorConfig, PosteriorKind};
pub use recognition::{POSTERIOR, Recognised, Recognition};
pub use schedule::Schedule;
