//! `piano_roll` as a kind of the registry.

use super::GeneratorKind;
use crate::kind::{Declared, Example};
use latent_lab_envs::PianoRoll;

impl Declared for PianoRoll {
    const NAME: &'static str = "piano_roll";
    const SUMMARY: &'static str = "Binary piano rolls from a hidden Markov chain of chords, whose likelihood is known.";
    const EQUATION: &'static str =
        "p(x_ti = 1 | c_t, x_{t−1,i}) = h x_{t−1,i} + (1 − h x_{t−1,i}) p_i(c_t), c_t the chord";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"piano_roll\"\nnotes = 12\nlowest = 60\nchord_tone = 0.3\nother_tone = 0.05\ntrain = 640",
        model: "kind = \"linear_gaussian_ssm\"",
        ..Example::USUAL
    };
}

impl GeneratorKind for PianoRoll {
    fn is_binary(&self) -> bool {
        true
    }
}
