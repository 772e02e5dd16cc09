//! `pendulum_16` as a kind of the registry.

use crate::kind::{Declared, Example};
use latent_lab_envs::Pendulum16;

impl Declared for Pendulum16 {
    const NAME: &'static str = "pendulum_16";
    const SUMMARY: &'static str = "A pendulum with friction, seen in single images of 16×16 pixels.";
    const EQUATION: &'static str = "\
θ̈ = −0.5 θ̇ + 9.81 sin θ + u, dt = 0.1 s, u in ±3\n\
reward 1 for |θ| ≤ π/6";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"exploration\"\nenvironment = \"pendulum_16\"\ntrain = 600\ntest = 150",
        ..Example::IMAGES
    };
}
