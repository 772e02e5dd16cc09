//! State spaces in all modules: the theory as tests, fixed entries, learnt parameters, and bad input.

mod case;
mod linear;
mod nonlinear;
