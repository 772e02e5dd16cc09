//! `ring` as a kind of the registry.

use super::GeneratorKind;
use crate::kind::{Declared, Example};
use latent_lab_envs::Ring;

impl Declared for Ring {
    const NAME: &'static str = "ring";
    const SUMMARY: &'static str = "A noisy circle.";
    const EQUATION: &'static str = "x = R (cos φ, sin φ) + σ ε, φ ~ U(0, 2π), ε ~ N(0, I)";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"ring\"\ntrain = 200",
        ..Example::USUAL
    };
}

impl GeneratorKind for Ring {}
