//! The lecture's figures, each from the records of its own experiment file in `experiments/lecture/`.
//!
//! To add one: a file here with a `draw` function, an experiment file, and a line in [`FIGURES`].

mod bounds;
mod bounds_of_sequences;
mod clusters;
mod collapse;
mod continuous;
mod control;
mod density;
mod digits;
mod gap;
mod growth;
mod latent;
mod latent_state;
mod latent_state_from_images;
mod learning;
mod lower_bound;
mod mixture_density_network;
mod mixture_of_twenty;
mod neural_latent_state;
mod nile;
mod objectives;
mod plane;
mod posterior;
mod prediction;
mod regression;
mod responsibilities;
mod sampling;
mod sequence_posteriors;
mod shown;
mod trajectory;
mod tree;

use super::layout::Figure;
use super::words::sentence_case;
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
        name: "responsibilities",
        summary: "the posteriors of EM after 0, 1, 3 and 30 sweeps, and the lower bound that a sweep maximises",
        experiment: "responsibilities.toml",
        draw: responsibilities::draw,
    },
    LectureFigure {
        name: "objectives",
        summary: "learning curves of the marginal and the expected log-likelihood by kind of posterior",
        experiment: "objectives.toml",
        draw: objectives::draw,
    },
    LectureFigure {
        name: "sampling",
        summary: "posterior samples give unbiased estimates whose spread falls as 1/√S",
        experiment: "sampling.toml",
        draw: sampling::draw,
    },
    LectureFigure {
        name: "latent",
        summary: "p(z), the decoder's E[x|z], and p(x): two moons from a Gaussian latent",
        experiment: "latent.toml",
        draw: latent::draw,
    },
    LectureFigure {
        name: "posterior",
        summary: "the true posterior of single points against the approximate ones of three objectives",
        experiment: "posterior.toml",
        draw: posterior::draw,
    },
    LectureFigure {
        name: "gap",
        summary: "log p(x) and its distance from the evidence lower bound while five objectives learn",
        experiment: "gap.toml",
        draw: gap::draw,
    },
    LectureFigure {
        name: "bounds",
        summary: "the importance-weighted bound against the number of samples, from two proposals",
        experiment: "bounds.toml",
        draw: bounds::draw,
    },
    LectureFigure {
        name: "collapse",
        summary: "an approximate posterior trained without an entropy shrinks to a point, and the model with it",
        experiment: "collapse.toml",
        draw: collapse::draw,
    },
    LectureFigure {
        name: "mixture_of_twenty",
        summary: "the weights of twenty Gaussians by the exact posterior, its samples and its mode, wake-sleep and reweighted wake-sleep",
        experiment: "../objectives/mixture_of_twenty_posteriors.toml",
        draw: mixture_of_twenty::draw,
    },
    LectureFigure {
        name: "digits",
        summary: "handwritten digits from a continuous latent: reconstructed, interpolated, sampled, and all over a plane",
        experiment: "digits.toml",
        draw: digits::draw,
    },
    LectureFigure {
        name: "latent_state",
        summary: "a latent-state model: its graph, filter and smoother against the truth, a forecast, errors by horizon",
        experiment: "latent_state.toml",
        draw: latent_state::draw,
    },
    LectureFigure {
        name: "neural_latent_state",
        summary: "a latent-state model of networks: true and latent states, replicated observations, a forecast, errors by horizon",
        experiment: "neural_latent_state.toml",
        draw: neural_latent_state::draw,
    },
    LectureFigure {
        name: "latent_state_from_images",
        summary: "a pendulum's state from its images: film strips observed, reconstructed and dreamt, and maps of the latent states",
        experiment: "latent_state_from_images.toml",
        draw: latent_state_from_images::draw,
    },
    LectureFigure {
        name: "control",
        summary: "the ways of planners through the true state: with a state learnt from images, with the true state, at random",
        experiment: "../latent_state/planar.toml",
        draw: control::draw,
    },
    LectureFigure {
        name: "bounds_of_sequences",
        summary: "bounds of whole sequences against the number of paths or particles, from two proposals",
        experiment: "../objectives/bounds_of_sequences.toml",
        draw: bounds_of_sequences::draw,
    },
    LectureFigure {
        name: "sequence_posteriors",
        summary: "families of q of a path: what each is given, what it believes about one state, and its gap beside the least one",
        experiment: "../latent_state/sequence_posteriors.toml",
        draw: sequence_posteriors::draw,
    },
    LectureFigure {
        name: "nile",
        summary: "the level of the Nile as a latent state: filter, smoother and forecast with 95 % bands",
        experiment: "../latent_state/nile.toml",
        draw: nile::draw,
    },
    LectureFigure {
        name: "growth",
        summary: "a state in two wells observed through its square: particles against the truth, and every run's parameters",
        experiment: "../latent_state/growth_study.toml",
        draw: growth::draw,
    },
];

/// The figure called `name`.
pub fn find(name: &str) -> Option<&'static LectureFigure> {
    FIGURES.iter().find(|figure| figure.name == name)
}

/// The run of `variant` that figures show: its first seed.
fn first_seed<'a>(runs: &'a [PlannedRun], variant: &str) -> Result<&'a PlannedRun> {
    let found = runs.iter().find(|run| run.address.variant == variant);
    found.ok_or_else(|| Error::Data(format!("the variant \"{variant}\" has no run to draw: give it a seed")))
}

/// The error for an experiment file that no longer fits its figure.
fn unexpected(figure: &str, expected: &str) -> Error {
    Error::Data(format!(
        "the figure `{figure}` needs {expected}: compare its experiment file with the original"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::drawn::{Drawn, hex};
    use crate::figure::theme::{OBSERVED, POINT, Page, VARIANTS};
    use crate::runner::{Fresh, Options, Outcome, Watcher, execute};
    use std::path::Path;
    use std::sync::atomic::AtomicBool;

    struct Nobody;

    impl Watcher for Nobody {
        fn started(&self, _: usize) {}
        fn progressed(&self, _: usize, _: u64, _: u64) {}
        fn finished(&self, _: usize, _: &Outcome) {}
    }

    /// The experiment of a figure, with finished runs of three seeds of two steps on few rows in `results`.
    fn short_runs(figure: &LectureFigure, results: &Path) -> Experiment {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("experiments/lecture")
            .join(figure.experiment);
        let text = std::fs::read_to_string(&file).unwrap();
        let smaller = [
            ("\nseeds =", "seeds = 3"),
            ("\ntrain =", "data.train = 100"),
            ("\ntest =", "data.test = 100"),
            ("\n[evaluation.bounds]", "evaluation.bounds.samples = 10"),
            ("\nepisodes =", "evaluation.rollout.episodes = 20"),
            ("\n[evaluation.estimator]", "evaluation.estimator.repeats = 3"),
        ];
        let stated = smaller.into_iter().filter(|(key, _)| text.contains(key));
        let overrides: Vec<String> = stated.map(|(_, smaller)| smaller.to_owned()).collect();
        let mut experiment = Experiment::load(&file, &overrides, results).unwrap();
        if text.contains("\nsteps =") {
            // Variants have their own training tables, which `--set` does not change.
            for variant in &mut experiment.loaded.variants {
                variant.spec.training = variant.spec.training.clone().at_most(2);
            }
        }
        let options = Options {
            jobs: 2,
            fresh: Fresh::None,
            interrupt: &AtomicBool::new(false),
        };
        for outcome in execute(&experiment.runs().unwrap(), options, &Nobody).unwrap() {
            assert_eq!(outcome, Outcome::Done, "{}", figure.name);
        }
        experiment
    }

    /// The same records give the same figure.
    #[test]
    fn every_figure_draws_from_short_runs_of_its_own_file() {
        for figure in FIGURES {
            let results = tempfile::tempdir().unwrap();
            let experiment = short_runs(figure, results.path());
            let [svg, again] = [(); 2].map(|()| (figure.draw)(&experiment).unwrap().svg().unwrap());
            assert_eq!(svg, again, "{}", figure.name);
            assert!(svg.len() < 1_000_000, "{}: {} bytes", figure.name, svg.len());
            let drawn = Drawn::read(&svg);
            assert!(drawn.labels.len() > 3, "{}", drawn.words());
        }
    }

    /// The years and flows of the measurements stand where the axes say, and the first filtered level is the first
    /// measurement, since p(x₁) is wide.
    #[test]
    fn the_nile_shows_every_measured_year() {
        let results = tempfile::tempdir().unwrap();
        let figure = find("nile").unwrap();
        let experiment = short_runs(figure, results.path());
        let page = Page::Text;
        let drawn = (figure.draw)(&experiment).unwrap().page(page);
        let drawn = Drawn::read(&drawn.svg().unwrap());
        let table = std::fs::read_to_string(experiment.file.parent().unwrap().join("../data/nile.csv")).unwrap();
        let measured = table.lines().skip(1).map(|line| {
            let (year, volume) = line.split_once(',').unwrap();
            (year.parse::<f64>().unwrap(), volume.parse::<f64>().unwrap())
        });
        let measured: Vec<(f64, f64)> = measured.collect();
        assert_eq!((measured.len(), measured[0]), (100, (1871.0, 1120.0)));
        let middle = 0.5 * page.width();
        let panels = [drawn.axes(0.0, middle), drawn.axes(middle, page.width())];
        let dots = drawn
            .discs
            .iter()
            .filter(|disc| disc.color == hex(OBSERVED) && disc.radius == POINT);
        let (left, right): (Vec<_>, Vec<_>) = dots.map(|disc| disc.points[0]).partition(|dot| dot.0 < middle);
        for (axes, dots) in panels.iter().zip([left, right]) {
            assert_eq!(dots.len(), measured.len());
            for (dot, (year, volume)) in dots.into_iter().zip(&measured) {
                let shown = axes.data(dot);
                assert!(
                    (shown.0 - year).abs() < 0.2 && (shown.1 - volume).abs() < 3.0,
                    "{shown:?} {year} {volume}"
                );
            }
        }
        let filter = drawn
            .lines
            .iter()
            .find(|line| line.color == hex(VARIANTS[1]) && line.points.len() > 10);
        let first = panels[0].data(filter.expect("the filter is drawn").points[0]);
        assert!(
            (first.0 - 1871.0).abs() < 0.2 && (first.1 - 1120.0).abs() < 8.0,
            "{first:?}"
        );
        let text = drawn.words();
        insta::assert_snapshot!("nile", text);
    }

    #[test]
    fn figures_need_their_variants_and_seeds() {
        let results = tempfile::tempdir().unwrap();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/objectives/mixture_of_twenty.toml");
        let other = Experiment::load(&file, &[], results.path()).unwrap();
        for figure in ["mixture_density_network", "tree", "objectives", "sampling"] {
            let error = (find(figure).unwrap().draw)(&other).unwrap_err().to_string();
            assert!(error.contains("needs") && error.contains(figure), "{error}");
        }
        assert!(first_seed(&[], "exact").unwrap_err().to_string().contains("\"exact\""));
    }
}
