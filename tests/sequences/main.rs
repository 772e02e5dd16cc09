//! State spaces through the rooms: the theory as tests, what is fixed, what is learnt, and bad input.

mod case;
mod linear;
mod nonlinear;
