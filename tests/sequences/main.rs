//! State spaces in all modules: the theory as tests, fixed entries, learnt parameters, and bad input.

mod case;
mod files;
mod linear;
mod nonlinear;
mod nonlinear_faults;
