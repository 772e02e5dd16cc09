//! Parameters, layers, fused CPU kernels with their composed twins, Adam.

pub mod parameters;

pub use parameters::Parameters;
