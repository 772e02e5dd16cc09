//! The lecture's figures, each from the records of its own experiment file in `experiments/lecture/`.
//!
//! To add one: a file here with a `draw` function, an experiment file, and a line in [`FIGURES`].

use super::layout::Figure;
use crate::Result;
use crate::runner::Experiment;

/// One figure of the lecture.
#[derive(Debug, Clone, Copy)]
pub struct LectureFigure {
    /// Its name.
    pub name: &'static str,
    /// What it shows.
    pub summary: &'static str,
    /// Its experiment file, in the lecture's folder.
    pub experiment: &'static str,
    /// Draws it from finished runs.
    pub draw: fn(&Experiment) -> Result<Figure>,
}

/// Every figure, in the lecture's order.
pub const FIGURES: &[LectureFigure] = &[];

/// The figure called `name`.
pub fn find(name: &str) -> Option<&'static LectureFigure> {
    FIGURES.iter().find(|figure| figure.name == name)
}
