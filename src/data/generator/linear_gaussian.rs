//! `linear_gaussian` as a kind of the registry.

use super::GeneratorKind;
use crate::kind::{Declared, Example};
use latent_lab_envs::LinearGaussian;

impl Declared for LinearGaussian {
    const NAME: &'static str = "linear_gaussian";
    const SUMMARY: &'static str = "A line with Gaussian noise.";
    const EQUATION: &'static str = "y = a x + b + σ ε, ε ~ N(0, 1)";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"linear_gaussian\"\ntrain = 200",
        model: "kind = \"conditional_mixture\"\ncomponents = 3",
        ..Example::USUAL
    };
}

impl GeneratorKind for LinearGaussian {}
