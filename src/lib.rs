//! latent-lab: experiments in reinforcement learning with latent-variable models.
//!
//! One idea runs through the crate: *guess the latent variable, then do maximum likelihood on the guess, averaged
//! over how likely each guess is*, the expected log-likelihood `Σ_i E_{z ~ p(z|x_i)} [log p_θ(x_i, z)]`.
//! Three rooms hold it and know nothing of each other: [`model`] says what `log p_θ(x, z)` is, [`posterior`] which `z`
//! to consider and with what weight, [`objective`] how the two become one number to ascend.
//!
//! Data flow one way: experiment file → [`spec`] → [`data`] → [`model`] + [`posterior`] → [`objective`] → [`train`] →
//! [`control`] → [`record`] → [`stats`] → [`runner`] → [`figure`] → [`cli`]. A room imports only from rooms before it, and
//! a test reads this order: [`error`], [`math`], [`nn`], [`data`], [`model`], [`posterior`], [`objective`], [`train`],
//! [`control`], [`spec`], [`record`], [`stats`], [`runner`], [`figure`], [`cli`].

pub mod cli;
pub mod control;
pub mod data;
pub mod error;
pub mod figure;
pub mod math;
pub mod model;
pub mod nn;
pub mod objective;
pub mod posterior;
pub mod record;
pub mod runner;
pub mod spec;
pub mod stats;
pub mod train;

pub use error::{Error, Result};
