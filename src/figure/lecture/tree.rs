//! Round the tree: demonstrations pass it on either side. A policy that acts by the mean, or whose density is one
//! Gaussian, drives between the demonstrations. A policy with a latent variable picks a side. The last panel is the
//! density of the action at the fork, where the side is decided.

use super::prediction::Prediction;
use super::{first_seed, sentence_case, unexpected};
use crate::Result;
use crate::control::{Policy, play, starts};
use crate::data::Table;
use crate::figure::Anchor;
use crate::figure::axis::Axis;
use crate::figure::chart::{Panel, Stroke};
use crate::figure::experiment::bounds;
use crate::figure::layout::Figure;
use crate::figure::number::fixed;
use crate::figure::theme::{BASELINE, BLACK, Color, FAILED, MODEL, OBSERVED, VARIANTS};
use crate::runner::{Experiment, PlannedRun, Reloaded, VariantSummary, reload, summarize};
use crate::train::metrics::RolloutConfig;
use latent_lab_envs::Batch;
use latent_lab_envs::Tree;
use latent_lab_envs::tree::{GOAL, ROAD_HALF_WIDTH, State, TREE, TREE_RADIUS};
use rand::Rng;

/// Paths drawn per panel.
const PATHS: usize = 60;
/// The state of the action density, (x, y) in m, and the demonstrations that count as near it: within ± this, in m.
const FORK: [f64; 2] = [0.0, 2.7];
const NEAR: [f64; 2] = [0.3, 0.5];
/// Width of the histogram's bars, rad, and how far the axis reaches.
const BAR: f64 = 0.1;
const REACH: f64 = 1.8;
/// The tree.
const LEAVES: Color = VARIANTS[2];
/// The Gaussian policy's density.
const GAUSSIAN: Color = VARIANTS[3];

/// Draws the figure from finished runs.
pub fn draw(experiment: &Experiment) -> Result<Figure> {
    let summary = summarize(experiment)?;
    let runs = experiment.runs()?;
    let Some((mixture, others)) = summary.variants.split_last() else {
        return Err(unexpected("tree", "at least one variant"));
    };
    let shown = |name: &str| others.iter().find(|variant| variant.name == name);
    let names = ["mean squared error", "Gaussian, its mean", "Gaussian, sampled"];
    let [Some(squares), Some(mean), Some(sampled)] = names.map(shown) else {
        return Err(unexpected(
            "tree",
            &format!("the variants {names:?}, and last a mixture"),
        ));
    };
    let first = first_seed(&runs, &mixture.name)?;
    let mut demonstrations = road("Demonstrations".to_owned());
    // The training rows of this seed come from the same stream.
    let rng = &mut reload(first)?.streams.named("data/train").at(0);
    paths(
        &mut demonstrations,
        &rolled_out(first)?.0.demonstrated_paths(PATHS, rng),
        OBSERVED,
    );
    let mut panels = vec![demonstrations];
    for variant in [squares, mean, sampled, mixture] {
        let run = first_seed(&runs, &variant.name)?;
        let mut panel = road(title(variant, rolled_out(run)?.1.episodes));
        paths(&mut panel, &driven(run)?, MODEL);
        panels.push(panel);
    }
    let gaussian = reload(first_seed(&runs, &sampled.name)?)?;
    panels.push(fork(&gaussian, (&mixture.name, &reload(first)?))?);
    Ok(Figure::new(&summary.question, 3, panels)
        .caption(format!(
            "{PATHS} demonstrations and {PATHS} roll-outs of each policy of seed {}: arrivals are blue, failures end in a \
             vermillion cross. Percentages: roll-outs that arrive, over {} seeds, with their 95 % interval (over seeds; Wilson's \
             over all roll-outs where every seed has the same share). Last: the density of the heading at the fork, x = 0 \
             and y = {} m.",
            first.address.seed,
            mixture.seeds.len(),
            FORK[1],
        ))
        .row_height(850.0))
}

/// Wilson's 95 % interval of a share of successes (Wilson 1927), which has a positive width also at 0 and 1.
fn wilson(successes: f64, trials: f64) -> (f64, f64) {
    const Z: f64 = 1.959964;
    let share = successes / trials;
    let shrunk = 1.0 / (1.0 + Z * Z / trials);
    let middle = shrunk * (share + 0.5 * Z * Z / trials);
    let half = shrunk * Z * (share * (1.0 - share) / trials + 0.25 * (Z / trials).powi(2)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

/// The variant and its success rate over seeds, with the interval over seeds; where every seed has the same rate, with
/// Wilson's interval of all roll-outs.
fn title(variant: &VariantSummary, rollouts: usize) -> String {
    let name = sentence_case(&variant.name);
    const METRIC: &str = "rollout/success_rate";
    let summary = variant.summary.get(METRIC);
    match summary.and_then(|summary| Some((summary, summary.mean?))) {
        None => name,
        Some((summary, mean)) => {
            let all = (summary.count * rollouts) as f64;
            let over_seeds = bounds(variant, METRIC).filter(|(low, high)| low < high);
            let (low, high) = over_seeds.unwrap_or_else(|| wilson(mean * all, all));
            let [mean, low, high] = [mean, low, high].map(|rate| fixed(100.0 * rate, 1));
            format!("{name}: {mean} % [{low}, {high}]")
        }
    }
}

/// The road with the tree, in metres.
fn road(title: String) -> Panel {
    let mut panel = Panel::new(title, Axis::linear("x (m)"), Axis::linear("y (m)")).equal_units();
    let edge = ROAD_HALF_WIDTH;
    panel
        .rectangle((-edge, -0.3), (edge, GOAL + 0.5), BASELINE.alpha(0.10))
        .circle((TREE[0], TREE[1]), TREE_RADIUS, LEAVES.alpha(0.45));
    panel
}

/// The tree that a run is rolled out in, and how.
fn rolled_out(run: &PlannedRun) -> Result<(Tree, &RolloutConfig)> {
    let wrong = || unexpected("tree", "roll-outs with the environment `tree`");
    let environment = run.spec.environment()?.ok_or_else(wrong)?;
    let rollout = run.spec.evaluation.rollout.as_ref().ok_or_else(wrong)?;
    let tree = environment.get::<Tree>().ok_or_else(wrong)?;
    Ok((tree, rollout))
}

/// The first roll-outs of a finished run, as its record counts them.
fn driven(run: &PlannedRun) -> Result<Vec<State>> {
    let Reloaded {
        model,
        theta,
        splits,
        streams,
    } = reload(run)?;
    let (tree, rollout) = rolled_out(run)?;
    let policy = Policy {
        model: model.as_ref(),
        theta: &theta,
        standardization: &splits.standardization,
        action: rollout.action,
        latent: rollout.latent,
    };
    let mut generators = starts(rollout.episodes, &streams);
    let mut generators: Vec<&mut dyn Rng> = generators.iter_mut().map(|rng| rng as &mut dyn Rng).collect();
    let mut batch = Batch::new(&tree, &mut generators);
    play(&mut batch, &policy, &streams, &mut |_, _| ())?;
    let mut states = batch.into_states();
    states.truncate(PATHS);
    Ok(states)
}

/// The path of each car; failures are drawn on top, in their own colour, and end in a cross.
fn paths(panel: &mut Panel, states: &[State], color: Color) {
    for arrived in [true, false] {
        for state in states.iter().filter(|state| state.success() == arrived) {
            let way: Vec<_> = state.path.iter().map(|place| (place.x, place.y)).collect();
            let color = if arrived { color } else { FAILED };
            panel.line(&way, Stroke::solid(color.alpha(0.35)).width(2.5));
            if let (false, Some((x, y))) = (arrived, way.last()) {
                let arm = 0.14; // m
                for (dx, dy) in [(arm, arm), (arm, -arm)] {
                    panel.line(&[(x - dx, y - dy), (x + dx, y + dy)], Stroke::solid(FAILED).width(2.5));
                }
            }
        }
    }
    panel.text((TREE[0], TREE[1]), "tree", Anchor::Middle, LEAVES);
}

/// Densities of the heading at the fork over a histogram of the demonstrated headings near it.
fn fork(gaussian: &Reloaded, (name, mixture): (&str, &Reloaded)) -> Result<Panel> {
    let headings = demonstrated(mixture);
    let bars = (2.0 * REACH / BAR).round() as usize;
    let edges: Vec<f64> = (0..=bars).map(|i| -REACH + BAR * i as f64).collect();
    let share = 1.0 / (headings.len().max(1) as f64 * BAR);
    let height = |edge: &[f64]| share * headings.iter().filter(|psi| (edge[0]..edge[1]).contains(*psi)).count() as f64;
    let heights: Vec<f64> = edges.windows(2).map(height).collect();
    let state = Table::new(FORK.to_vec(), 2);
    let [gaussian, mixture] = [gaussian, mixture].map(|run| Prediction::new(run, state.clone()));
    let (gaussian, mixture) = (gaussian?, mixture?);
    let curve = |prediction: &Prediction| -> Vec<(f64, f64)> {
        let psi = (0..=720).map(|i| REACH * (f64::from(i) / 360.0 - 1.0));
        psi.map(|psi| (psi, prediction.density(0, psi))).collect()
    };
    let mut panel = Panel::new(
        "Heading at the fork",
        Axis::linear("heading ψ (rad)").limits(-REACH, REACH),
        Axis::linear("p(ψ|s) (per rad)"),
    );
    let (modes, flat) = (curve(&mixture), curve(&gaussian));
    let top = modes
        .iter()
        .map(|p| p.1)
        .chain(heights.iter().copied())
        .fold(0.0, f64::max);
    // Straight on from the fork, these headings touch the tree.
    let aside = (TREE_RADIUS / (TREE[1] - FORK[1])).min(1.0).asin();
    panel
        .rectangle((-aside, 0.0), (aside, 1.14 * top), LEAVES.alpha(0.2))
        .text((0.0, 1.08 * top), "into the tree", Anchor::Middle, LEAVES)
        .bars(&edges, &heights, OBSERVED.alpha(0.5))
        .line(&modes, Stroke::solid(MODEL))
        .line(&flat, Stroke::solid(GAUSSIAN));
    let mean = gaussian.mean(0);
    panel
        .line(&[(mean, 0.0), (mean, 0.52 * top)], Stroke::solid(BLACK).width(3.0))
        .text(
            (mean, 0.57 * top),
            format!("mean {}", fixed(mean, 2)),
            Anchor::Middle,
            BLACK,
        )
        .text((-1.05, 0.93 * top), name, Anchor::Start, MODEL)
        .text((1.0, 0.73 * top), "demonstrations", Anchor::End, OBSERVED)
        .text(
            (mean, gaussian.density(0, mean) + 0.05 * top),
            "Gaussian",
            Anchor::Middle,
            GAUSSIAN,
        );
    Ok(panel)
}

/// Headings of the demonstrations near the fork, rad.
fn demonstrated(run: &Reloaded) -> Vec<f64> {
    let mut train = run.splits.train.clone();
    run.splits.standardization.observed.invert(train.observed.values_mut());
    let Some(given) = &mut train.given else {
        return Vec::new();
    };
    run.splits.standardization.given.invert(given.values_mut());
    let near = |i: &usize| {
        given
            .row(*i)
            .iter()
            .zip(FORK)
            .zip(NEAR)
            .all(|((s, fork), near)| (s - fork).abs() < near)
    };
    (0..given.rows())
        .filter(near)
        .map(|i| train.observed.row(i)[0])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0 and all of 20: 1 / (1 + 20 / z²) from the end (Wilson 1927); 8 of 20 as printed in textbooks.
    #[test]
    fn wilsons_interval_has_a_width_at_none_and_at_all() {
        let (low, high) = wilson(0.0, 20.0);
        assert!(low.abs() < 1e-12 && (high - 0.16113).abs() < 1e-4, "{low} {high}");
        let (low, high) = wilson(20.0, 20.0);
        assert!(
            (low - 0.83887).abs() < 1e-4 && (high - 1.0).abs() < 1e-12,
            "{low} {high}"
        );
        let (low, high) = wilson(8.0, 20.0);
        assert!(
            (low - 0.2188).abs() < 1e-4 && (high - 0.6134).abs() < 1e-4,
            "{low} {high}"
        );
    }
}
