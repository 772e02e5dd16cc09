//! `mountain_car_continuous_v0` as a kind of the registry.

use crate::kind::Declared;
use latent_lab_envs::MountainCarContinuousV0;

impl Declared for MountainCarContinuousV0 {
    const NAME: &'static str = "mountain_car_continuous_v0";
    const SUMMARY: &'static str = "Gymnasium's MountainCarContinuous-v0: a weak car swings to climb a hill.";
    const EQUATION: &'static str = "\
v' = clip(v + 0.0015 u − 0.0025 cos 3p, ±0.07), p' = clip(p + v', −1.2, 0.6), force u in ±1\n\
reward −0.1 u², and 100 on reaching p ≥ 0.45";
    const EXAMPLE: &'static str = r#"question = "What does mountain_car_continuous_v0 do?"
seeds = 3

[data]
source = "demonstrations"
environment = "mountain_car_continuous_v0"
train = 20
test = 10

[model]
kind = "conditional_mixture"
components = 3

[training]
optimizer = "adam"
steps = 200
evaluate_every = 50

[evaluation.rollout]
environment = "mountain_car_continuous_v0"
episodes = 10
"#;
}
