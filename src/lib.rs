//! latent-lab: experiments in reinforcement learning with latent-variable models.
//!
//! The crate is built on one idea: infer the latent variable and maximise the likelihood of the inferred values,
//! averaged over their posterior. This is the expected log-likelihood `Σ_i E_{z ~ p(z|x_i)} [log p_θ(x_i, z)]`. Three
//! independent modules implement it: [`model`] defines `log p_θ(x, z)`, [`posterior`] provides values of `z` with
//! weights, and [`objective`] combines the two into one number to maximise.
//!
//! Data flow one way: experiment file → [`spec`] → [`data`] → [`model`] + [`posterior`] → [`objective`] → [`train`] →
//! [`control`] → [`record`] → [`stats`] → [`runner`] → [`figure`] → [`cli`]. A module imports only from modules before
//! it, and a test reads this order: [`error`], [`math`], [`nn`], [`kind`], [`environment`], [`data`], [`model`],
//! [`posterior`], [`objective`], [`train`], [`control`], [`spec`], [`record`], [`stats`], [`runner`], [`figure`], [`cli`].
//! The first three are the crate `latent-lab-kernels`.

pub mod cli;
pub mod control;
pub mod data;
pub mod environment;
pub mod figure;
pub mod kind;
pub mod model;
pub mod objective;
pub mod posterior;
pub mod record;
pub mod runner;
pub mod spec;
pub mod stats;
pub mod train;

pub use latent_lab_kernels::{Error, Result, error, math, nn};
