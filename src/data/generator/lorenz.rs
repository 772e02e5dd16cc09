//! `lorenz` as a kind of the registry.

use super::GeneratorKind;
use crate::kind::{Declared, Example};
use latent_lab_envs::Lorenz;

impl Declared for Lorenz {
    const NAME: &'static str = "lorenz";
    const SUMMARY: &'static str = "Sequences of noisy coordinates of the Lorenz attractor, by default only the first.";
    const EQUATION: &'static str = "ẋ = 10 (y − x), ẏ = x (28 − z) − y, ż = x y − (8/3) z";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"lorenz\"\ntrain = 200",
        model: "kind = \"linear_gaussian_ssm\"",
        ..Example::USUAL
    };
}

impl GeneratorKind for Lorenz {}
