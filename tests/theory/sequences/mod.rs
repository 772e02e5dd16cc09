//! State spaces in all modules: the theory as tests, fixed entries, learnt parameters, and bad input.

mod case;
mod files;
mod linear;
mod neural;
mod neural_additions;
mod neural_case;
mod neural_conjugate;
mod neural_filters;
mod neural_fit;
mod neural_formulas;
mod neural_images;
mod neural_paths;
mod neural_rewards;
mod neural_starts;
mod nonlinear;
mod nonlinear_faults;
