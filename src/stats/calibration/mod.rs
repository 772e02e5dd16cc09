//! Simulations of the statistics of this module: what intervals cover, and how often sequential tests err.
//!
//! Each is a function of its numbers and a seed. The verb `calibrate` writes their tables to `results/statistics`.

pub mod intervals;
