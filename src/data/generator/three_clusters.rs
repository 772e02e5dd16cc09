//! `three_clusters` as a kind of the registry.

use super::GeneratorKind;
use crate::kind::{Declared, Example};
use latent_lab_envs::ThreeClusters;

impl Declared for ThreeClusters {
    const NAME: &'static str = "three_clusters";
    const SUMMARY: &'static str = "Three well-separated Gaussian clusters of unequal weights.";
    const EQUATION: &'static str = "p(x) = Σ_k w_k N(x; m_k, diag d_k²)";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"three_clusters\"\ntrain = 200",
        ..Example::USUAL
    };
}

impl GeneratorKind for ThreeClusters {}
