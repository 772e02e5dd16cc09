//! The lecture's figures, each from the records of its own experiment file in `experiments/lecture/`.
//!
//! To add one: a file here with a `draw` function, an experiment file, and a line in [`FIGURES`].

mod clusters;
mod density;
mod guesses;
mod latent_state;
mod lower_bound;
mod nile;
mod plane;
mod regression;
mod shown;
mod trajectory;

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
pub const FIGURES: &[LectureFigure] = &[
    LectureFigure {
        name: "density",
        summary: "points of the plane and the Gaussian fitted to them, from few points and from many",
        experiment: "density.toml",
        draw: density::draw,
    },
    LectureFigure {
        name: "regression",
        summary: "a fitted line with the 95 % band of p(y|x), and p(y|x) itself at three x",
        experiment: "regression.toml",
        draw: regression::draw,
    },
    LectureFigure {
        name: "clusters",
        summary: "one Gaussian against a mixture of three, points coloured by responsibility",
        experiment: "clusters.toml",
        draw: clusters::draw,
    },
    LectureFigure {
        name: "guesses",
        summary: "the guesses of EM after 0, 1, 3 and 30 sweeps, and the lower bound that a sweep climbs",
        experiment: "guesses.toml",
        draw: guesses::draw,
    },
    LectureFigure {
        name: "latent-state",
        summary: "a latent-state model: its graph, filter and smoother against the truth, a forecast, errors by horizon",
        experiment: "latent_state.toml",
        draw: latent_state::draw,
    },
    LectureFigure {
        name: "nile",
        summary: "the level of the Nile as a latent state: filter, smoother and forecast with 95 % bands",
        experiment: "../latent_state/nile.toml",
        draw: nile::draw,
    },
];

/// The figure called `name`.
pub fn find(name: &str) -> Option<&'static LectureFigure> {
    FIGURES.iter().find(|figure| figure.name == name)
}
