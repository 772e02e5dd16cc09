//! `cart_pole_v1` as a kind of the registry.

use crate::kind::Declared;
use latent_lab_envs::CartPoleV1;

impl Declared for CartPoleV1 {
    const NAME: &'static str = "cart_pole_v1";
    const SUMMARY: &'static str = "Gymnasium's CartPole-v1: a pole on a cart, kept upright by pushing left or right.";
    const EQUATION: &'static str = "\
f = (F + m l θ̇² sin θ) / M, θ̈ = (g sin θ − f cos θ) / (l (4/3 − m cos² θ / M)), ẍ = f − m l θ̈ cos θ / M\n\
F = −10 N for actions below 0.5, else 10 N; reward 1 per step; ends where |x| > 2.4 m or |θ| > 12°";
    const EXAMPLE: &'static str = r#"question = "What does cart_pole_v1 do?"
seeds = 3

[data]
source = "demonstrations"
environment = "cart_pole_v1"
train = 4
test = 2

[model]
kind = "conditional_mixture"
components = 3

[training]
optimizer = "adam"
steps = 200
evaluate_every = 50

[evaluation.rollout]
environment = "cart_pole_v1"
episodes = 10
"#;
}
