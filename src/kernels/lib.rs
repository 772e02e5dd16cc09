//! The numerical kernels of latent-lab: f64 mathematics ([`math`]), fused tensor operations and parameters ([`nn`]), and the
//! [`error`]s of the whole project.
//!
//! They are a crate of their own so that they are compiled with full optimisation in every profile, and once for the program
//! and its tests.

pub mod error;
pub mod math;
pub mod nn;

pub use error::{Error, Result};
