//! Parameters, layers, fused CPU kernels with their composed references, Adam.
//!
//! A training step of plain tensor operations creates hundreds of small arrays. Here it is a few custom operations,
//! each a few passes over its data with a hand-written backward pass: [`Perceptron`], [`dense()`],
//! [`convolution()`], [`mixture_log_joint`], [`log_sum_exp()`], [`weighted_sum()`], [`probabilities()`], log-densities,
//! [`reparameterised()`], [`select_rows()`], [`unstack()`], [`Adam`], and over sequences [`GatedRecurrent`] and [`GaussianRecursion`],
//! whose back-propagation through time is inside; [`backward()`] collects their gradients. They support f32 and f64 on
//! the CPU, use one thread, and choose AVX-512, AVX2, NEON or baseline code at run time. Elsewhere, or inside
//! [`with_composed`], the same functions are composed of plain tensor operations.

mod activation;
pub mod adam;
mod arguments;
mod composed;
mod composed_sequences;
mod convolution;
mod dense;
mod density;
mod float;
mod gated_recurrent;
mod gated_recurrent_kernel;
mod gated_recurrent_operation;
mod gaussian_recursion;
mod gaussian_recursion_kernel;
mod gaussian_recursion_operation;
mod gradients;
mod lanes;
mod layers;
mod log_sum_exp;
mod matmul;
mod mean;
mod mixture;
mod mixture_kernel;
mod mixture_operation;
mod mixture_tile;
mod noise;
pub mod parameters;
pub mod perceptron;
mod probabilities;
mod quads;
mod reparameterised;
mod roll_out;
mod rows;
#[cfg(test)]
mod tests;
mod tile;
mod unstack;
mod weighted_sum;

pub use adam::{Adam, AdamSettings};
pub use arguments::{Activation, ConditionalCovariance, Direction, Head, MixtureShape, RAW_LIMIT};
pub use composed::{activated, with_composed};
pub use convolution::convolution;
pub use dense::dense;
pub use density::{bernoulli_log_density, gaussian_log_density};
pub use gated_recurrent::GatedRecurrent;
pub use gaussian_recursion::{GaussianPaths, GaussianRecursion, RecursionLayer, RecursionNetwork};
pub use gradients::backward;
pub use log_sum_exp::{log_softmax, log_sum_exp};
pub use mean::mean;
pub use mixture::{mixture_log_joint, mixture_log_prob, mixture_mean, mixture_terms};
pub use noise::normal;
pub use parameters::Parameters;
pub use perceptron::Perceptron;
pub use probabilities::probabilities;
pub use reparameterised::reparameterised;
pub use roll_out::RollOut;
pub use rows::select_rows;
pub use unstack::unstack;
pub use weighted_sum::weighted_sum;
