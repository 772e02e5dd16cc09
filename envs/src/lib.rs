//! Simulators, experts and data generators: no tensors, no models.
//!
//! A [`Generator`] draws rows of a data set whose true density is known, so that a model can be compared with the
//! oracle. An [`Environment`] is controlled by actions; a [`Task`] is one whose type the caller does not know. Each is one struct in one file, and the struct is also its
//! table of keys in an experiment file: its fields are the keys, its `Default` gives their defaults, and its field docs
//! are the help. Randomness is always an argument.
//!
//! ```
//! use latent_lab_envs::{Generator, InverseSinusoid};
//! use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
//!
//! let generator = InverseSinusoid::default();
//! let points = generator.draw(1000, &mut ChaCha8Rng::seed_from_u64(0));
//! let log_likelihood = |row: usize| generator.log_prob(&points.observed[row..=row], &points.given[row..=row]);
//! let mean = (0..1000).filter_map(log_likelihood).sum::<f64>() / 1000.0; // nats per datum
//! assert!((mean - 1.28).abs() < 0.1);
//! ```

mod batch;
mod cart_pole_v1;
mod check;
mod environment;
mod gaussian_blob;
mod generator;
mod growth;
mod inverse_sinusoid;
pub mod lgssm;
mod linear_gaussian;
mod mixture_of_twenty;
mod mountain_car_continuous_v0;
mod numeric;
mod pendulum_v1;
mod ring;
mod three_clusters;
pub mod tree;
mod two_moons;

pub use batch::{Batch, Declaration, Episode, Episodes, Observations, Task};
pub use cart_pole_v1::{CartPoleBatch, CartPoleState, CartPoleV1};
pub use environment::{Control, Controller, Environment, Expert, Step, Yardsticks};
pub use gaussian_blob::GaussianBlob;
pub use generator::{Generator, Points, Reference};
pub use growth::Growth;
pub use inverse_sinusoid::InverseSinusoid;
pub use lgssm::Lgssm;
pub use linear_gaussian::{Inputs, LinearGaussian};
pub use mixture_of_twenty::MixtureOfTwenty;
pub use mountain_car_continuous_v0::{MountainCarContinuousV0, MountainCarState};
pub use pendulum_v1::{PendulumState, PendulumV1};
pub use ring::Ring;
pub use three_clusters::ThreeClusters;
pub use tree::Tree;
pub use two_moons::TwoMoons;
