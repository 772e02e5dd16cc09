//! The theory of continuous latent variables as tests: gradients, bounds, samples, chains, and the training of a
//! recognition network.

mod bounds;
mod case;
mod chains;
mod draws;
mod gradients;
mod policies;
mod recognition;
