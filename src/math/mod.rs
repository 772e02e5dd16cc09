//! Named random streams, stable densities, small f64 linear algebra.

pub mod streams;
