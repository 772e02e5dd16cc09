//! `planar` as a kind of the registry.

use crate::kind::{Declared, Example};
use latent_lab_envs::Planar;

impl Declared for Planar {
    const NAME: &'static str = "planar";
    const SUMMARY: &'static str = "A robot among obstacles in a plane, seen from above in one image.";
    const EQUATION: &'static str = "\
s' = clip(s + u, 1.5, 38.5), s = (row, column) in pixels, u in ±3; refused within 1.5 of an obstacle on both axes\n\
reward 1 within 2 pixels of the goal (37, 37), (37, 3) or (3, 37)";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"exploration\"\nenvironment = \"planar\"\ntrain = 200\ntest = 50",
        ..Example::IMAGES
    };
}
