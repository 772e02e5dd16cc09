//! `tree` as a kind of the registry.

use crate::kind::{Declared, Example};
use latent_lab_envs::Tree;

impl Declared for Tree {
    const NAME: &'static str = "tree";
    const SUMMARY: &'static str = "The road with the tree: a car passes it on the left or on the right.";
    const EQUATION: &'static str = "\
dx = sin ψ dt, dy = cos ψ dt, at 1 m/s; the action is the heading ψ, or the turn rate dψ/dt\n\
reward 1 on reaching y = 10 m; touching the tree or leaving the road ends the episode";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"tree\"\ntrain = 200",
        model: "kind = \"conditional_mixture\"\ncomponents = 3",
        further: "\n[evaluation.rollout]\nenvironment = \"tree\"\nepisodes = 50\n",
        ..Example::USUAL
    };
}
