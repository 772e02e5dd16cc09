//! `mountain_car_continuous_v0` as a kind of the registry.

use crate::kind::{Declared, Example};
use latent_lab_envs::MountainCarContinuousV0;

impl Declared for MountainCarContinuousV0 {
    const NAME: &'static str = "mountain_car_continuous_v0";
    const SUMMARY: &'static str = "Gymnasium's MountainCarContinuous-v0: a weak car swings to climb a hill.";
    const EQUATION: &'static str = "\
v' = clip(v + 0.0015 u − 0.0025 cos 3p, ±0.07), p' = clip(p + v', −1.2, 0.6), force u in ±1\n\
reward −0.1 u², and 100 on reaching p ≥ 0.45";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"demonstrations\"\nenvironment = \"mountain_car_continuous_v0\"\ntrain = 20\ntest = 10",
        model: "kind = \"conditional_mixture\"\ncomponents = 3",
        further: "\n[evaluation.rollout]\nenvironment = \"mountain_car_continuous_v0\"\nepisodes = 10\n",
        ..Example::USUAL
    };
}
