//! `mixture_of_twenty` as a kind of the registry.

use super::GeneratorKind;
use crate::kind::{Declared, Example};
use latent_lab_envs::MixtureOfTwenty;

impl Declared for MixtureOfTwenty {
    const NAME: &'static str = "mixture_of_twenty";
    const SUMMARY: &'static str = "Twenty known Gaussians on a line, whose weights are to be learnt.";
    const EQUATION: &'static str = "p(z) ∝ z + 5, x|z ~ N(s z, σ²), z = 0, …, 19";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"mixture_of_twenty\"\ntrain = 200",
        ..Example::USUAL
    };
}

impl GeneratorKind for MixtureOfTwenty {}
