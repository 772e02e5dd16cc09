//! `pendulum_v1` as a kind of the registry.

use crate::kind::{Declared, Example};
use latent_lab_envs::PendulumV1;

impl Declared for PendulumV1 {
    const NAME: &'static str = "pendulum_v1";
    const SUMMARY: &'static str = "Gymnasium's Pendulum-v1: a pendulum is swung up by a weak motor and kept upright.";
    const EQUATION: &'static str = "\
θ̇' = clip(θ̇ + (15 sin θ + 3 u) dt, ±8), θ' = θ + θ̇' dt, dt = 0.05 s, torque u in ±2\n\
reward −(θ² + 0.1 θ̇² + 0.001 u²), θ wrapped to [−π, π)";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"demonstrations\"\nenvironment = \"pendulum_v1\"\ntrain = 10\ntest = 5",
        model: "kind = \"conditional_mixture\"\ncomponents = 3",
        further: "\n[evaluation.rollout]\nenvironment = \"pendulum_v1\"\nepisodes = 10\n",
        ..Example::USUAL
    };
}
