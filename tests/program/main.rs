//! The whole program from outside: the real binary on real experiment files.

mod commands;
mod describing;
#[cfg(unix)]
mod determinism;
mod faults;
mod hard_inputs;
mod keys;
mod laboratory;
mod records;
mod supported;
mod tables;
mod tables_of_text;
mod typing;
