//! The lecture's figures, each from the records of its own experiment file in `experiments/lecture/`.
//!
//! To add one: a file here with a `draw` function, an experiment file, and a line in [`FIGURES`].

mod clusters;
mod density;
mod guesses;
mod lower_bound;
mod mixture_density_network;
mod objectives;
mod plane;
mod prediction;
mod regression;
mod sampling;
mod shown;
mod tree;

use super::layout::Figure;
use crate::runner::{Experiment, PlannedRun};
use crate::{Error, Result};

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
        name: "mixture_density_network",
        summary: "p(t|x) of the inverse sinusoid: one Gaussian, a mixture density network, and its components",
        experiment: "mixture_density_network.toml",
        draw: mixture_density_network::draw,
    },
    LectureFigure {
        name: "tree",
        summary: "round the tree: demonstrations, roll-outs of four policies, and the action density at the fork",
        experiment: "tree.toml",
        draw: tree::draw,
    },
    LectureFigure {
        name: "guesses",
        summary: "the guesses of EM after 0, 1, 3 and 30 sweeps, and the lower bound that a sweep climbs",
        experiment: "guesses.toml",
        draw: guesses::draw,
    },
    LectureFigure {
        name: "objectives",
        summary: "learning curves of the marginal and the expected log-likelihood by how z is guessed",
        experiment: "objectives.toml",
        draw: objectives::draw,
    },
    LectureFigure {
        name: "sampling",
        summary: "sampled guesses are unbiased, and their spread falls as 1/√S",
        experiment: "sampling.toml",
        draw: sampling::draw,
    },
];

/// The figure called `name`.
pub fn find(name: &str) -> Option<&'static LectureFigure> {
    FIGURES.iter().find(|figure| figure.name == name)
}

/// The run of `variant` that pictures show: its first seed.
fn first_seed<'a>(runs: &'a [PlannedRun], variant: &str) -> Result<&'a PlannedRun> {
    let found = runs.iter().find(|run| run.address.variant == variant);
    found.ok_or_else(|| Error::Data(format!("the variant \"{variant}\" has no run to draw: give it a seed")))
}

/// An experiment file that has been changed too much for its figure.
fn unexpected(figure: &str, expected: &str) -> Error {
    Error::Data(format!(
        "the figure `{figure}` needs {expected}: compare its experiment file with the original"
    ))
}
