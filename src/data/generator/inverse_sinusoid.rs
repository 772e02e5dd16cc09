//! `inverse_sinusoid` as a kind of the registry.

use super::GeneratorKind;
use crate::kind::{Declared, Example};
use latent_lab_envs::InverseSinusoid;

impl Declared for InverseSinusoid {
    const NAME: &'static str = "inverse_sinusoid";
    const SUMMARY: &'static str = "Bishop's inverse problem: one x has up to three solutions t.";
    const EQUATION: &'static str = "t ~ U(0, 1), x = t + a sin 2πt + U(−h, h); p(t|x) is to be learnt";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"inverse_sinusoid\"\ntrain = 200",
        model: "kind = \"conditional_mixture\"\ncomponents = 3",
        ..Example::USUAL
    };
}

impl GeneratorKind for InverseSinusoid {}
