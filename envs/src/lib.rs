//! Simulators, experts and data generators: no tensors, no models.
//!
//! A [`Generator`] draws rows of a data set whose true density is known, so that a model can be compared with the
//! oracle. An [`Environment`] is controlled by actions; a [`Task`] is one whose type the caller does not know.
//! One that can be seen hands out [`Images`]. Each is one struct in one file, and the struct is also its table of keys in
//! an experiment file: its fields are the keys, its `Default` gives their defaults, and its field docs are the help.
//! Randomness is always an argument.
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
pub mod cartpole;
mod check;
mod clock;
mod environment;
mod gaussian_blob;
mod generator;
mod growth;
mod images;
mod inverse_sinusoid;
mod krishnan_linear;
mod krishnan_nonlinear;
pub mod lgssm;
mod linear_gaussian;
mod lorenz;
mod mixture_of_twenty;
mod mountain_car_continuous_v0;
mod numeric;
pub mod pendulum;
pub mod pendulum_16;
mod pendulum_v1;
mod piano_roll;
pub mod planar;
mod render;
mod ring;
mod three_clusters;
pub mod tree;
mod two_moons;

pub use batch::{Batch, Declaration, Episode, Episodes, ImageDeclaration, Observations, Task};
pub use cart_pole_v1::{CartPoleBatch, CartPoleState, CartPoleV1};
pub use cartpole::Cartpole;
pub use clock::Clock;
pub use environment::{Control, Controller, Environment, Expert, STEPS_IN_GOAL, Step, Yardsticks};
pub use gaussian_blob::GaussianBlob;
pub use generator::{Generator, Points, Reference};
pub use growth::Growth;
pub use images::{Budget, Collected, Frames, ImageShape, Images, Portrait, collect};
pub use inverse_sinusoid::InverseSinusoid;
pub use krishnan_linear::KrishnanLinear;
pub use krishnan_nonlinear::KrishnanNonlinear;
pub use lgssm::Lgssm;
pub use linear_gaussian::{Inputs, LinearGaussian};
pub use lorenz::{Coordinate, Lorenz};
pub use mixture_of_twenty::MixtureOfTwenty;
pub use mountain_car_continuous_v0::{MountainCarContinuousV0, MountainCarState};
pub use pendulum::{Pendulum, PendulumTask};
pub use pendulum_16::Pendulum16;
pub use pendulum_v1::{PendulumState, PendulumV1};
pub use piano_roll::PianoRoll;
pub use planar::Planar;
pub use ring::Ring;
pub use three_clusters::ThreeClusters;
pub use tree::Tree;
pub use two_moons::TwoMoons;
