//! The theory of continuous latent variables as tests: gradients, bounds, draws, chains, and what teaches a recognition
//! network.

mod bounds;
mod case;
mod chains;
mod draws;
mod gradients;
mod policies;
mod recognition;
