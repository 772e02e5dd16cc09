//! `cart_pole_v1` as a kind of the registry.

use crate::kind::{Declared, Example};
use latent_lab_envs::CartPoleV1;

impl Declared for CartPoleV1 {
    const NAME: &'static str = "cart_pole_v1";
    const SUMMARY: &'static str = "Gymnasium's CartPole-v1: a pole on a cart, kept upright by pushing left or right.";
    const EQUATION: &'static str = "\
f = (F + m l θ̇² sin θ) / M, θ̈ = (g sin θ − f cos θ) / (l (4/3 − m cos² θ / M)), ẍ = f − m l θ̈ cos θ / M\n\
F = −10 N for actions below 0.5, else 10 N; reward 1 per step; ends where |x| > 2.4 m or |θ| > 12°";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"demonstrations\"\nenvironment = \"cart_pole_v1\"\ntrain = 4\ntest = 2",
        model: "kind = \"conditional_mixture\"\ncomponents = 3",
        further: "\n[evaluation.rollout]\nenvironment = \"cart_pole_v1\"\nepisodes = 10\n",
        ..Example::USUAL
    };
}
