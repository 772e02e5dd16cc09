//! `pendulum_v1` as a kind of the registry.

use crate::kind::Declared;
use latent_lab_envs::PendulumV1;

impl Declared for PendulumV1 {
    const NAME: &'static str = "pendulum_v1";
    const SUMMARY: &'static str = "Gymnasium's Pendulum-v1: a pendulum is swung up by a weak motor and kept upright.";
    const EQUATION: &'static str = "\
θ̇' = clip(θ̇ + (15 sin θ + 3 u) dt, ±8), θ' = θ + θ̇' dt, dt = 0.05 s, torque u in ±2\n\
reward −(θ² + 0.1 θ̇² + 0.001 u²), θ wrapped to [−π, π)";
    const EXAMPLE: &'static str = r#"question = "What does pendulum_v1 do?"
seeds = 3

[data]
source = "demonstrations"
environment = "pendulum_v1"
train = 10
test = 5

[model]
kind = "conditional_mixture"
components = 3

[training]
optimizer = "adam"
steps = 200
evaluate_every = 50

[evaluation.rollout]
environment = "pendulum_v1"
episodes = 10
"#;
}
