//! The whole program from outside: the real binary on real experiment files.

mod commands;
mod describing;
#[cfg(unix)]
mod determinism;
mod faults;
mod hard_inputs;
mod laboratory;
mod supported;
mod typing;
