//! `two_moons` as a kind of the registry.

use super::GeneratorKind;
use crate::kind::{Declared, Example};
use latent_lab_envs::TwoMoons;

impl Declared for TwoMoons {
    const NAME: &'static str = "two_moons";
    const SUMMARY: &'static str = "Two noisy half circles.";
    const EQUATION: &'static str = "x = (cos φ, sin φ) + σ ε or (1 − cos φ, ½ − sin φ) + σ ε, φ ~ U(0, π), ε ~ N(0, I)";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"two_moons\"\ntrain = 200",
        ..Example::USUAL
    };
}

impl GeneratorKind for TwoMoons {}
