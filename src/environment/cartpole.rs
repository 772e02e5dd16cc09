//! `cartpole` as a kind of the registry.

use crate::kind::{Declared, Example};
use latent_lab_envs::Cartpole;

impl Declared for Cartpole {
    const NAME: &'static str = "cartpole";
    const SUMMARY: &'static str = "A pole on a cart that is pushed with any force, seen in two consecutive images.";
    const EQUATION: &'static str = "\
H = u + m l θ̇² sin θ, θ̈ = ((M + m) g sin θ − H cos θ) / (4/3 (M + m) l − m l cos² θ), ẍ = (H − m l θ̈ cos θ) / (M + m)\n\
M = 1 kg, m = 0.1 kg, l = 0.5 m, dt = 0.02 s, u in ±10 N; reward 1 for |θ| ≤ π/10";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"exploration\"\nenvironment = \"cartpole\"\ntrain = 100\ntest = 20",
        ..Example::IMAGES
    };
}
