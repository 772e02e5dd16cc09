//! `pendulum` as a kind of the registry.

use crate::kind::{Declared, Example};
use latent_lab_envs::Pendulum;

impl Declared for Pendulum {
    const NAME: &'static str = "pendulum";
    const SUMMARY: &'static str = "A pendulum with a motor, to balance or to swing up, seen in two consecutive images.";
    const EQUATION: &'static str = "\
θ̈ = (m g l sin θ − u) / (m l² / 3), m = 0.1 kg, l = 0.5 m, dt = 0.02 s, |θ̇| ≤ 3π; u in ±0.65 N m, or ±0.25 N m\n\
reward 1 for |θ| ≤ π/6";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"exploration\"\nenvironment = \"pendulum\"\ntrain = 200\ntest = 50",
        ..Example::IMAGES
    };
}
