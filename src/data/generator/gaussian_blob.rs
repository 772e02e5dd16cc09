//! `gaussian_blob` as a kind of the registry.

use super::GeneratorKind;
use crate::kind::{Declared, Example};
use latent_lab_envs::GaussianBlob;

impl Declared for GaussianBlob {
    const NAME: &'static str = "gaussian_blob";
    const SUMMARY: &'static str = "Points of the plane from one correlated Gaussian.";
    const EQUATION: &'static str = "log p(x) = log N(x; m, C)";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"gaussian_blob\"\ntrain = 200",
        ..Example::USUAL
    };
}

impl GeneratorKind for GaussianBlob {}
