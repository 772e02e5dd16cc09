//! *growth*: a state that jumps between two wells, seen through its square (Schön, Wills & Ninness 2011, section 9.2). What a
//! fitted model believes of the state, by particles from the past alone and from all observations; and what every run made of
//! the six parameters.

use super::shown::{Shown, shown};
use super::unexpected;
use crate::data::{Batch, Source};
use crate::figure::axis::Axis;
use crate::figure::chart::{Dot, Panel, Stroke};
use crate::figure::frame::Point;
use crate::figure::layout::Figure;
use crate::figure::theme::{BASELINE, Color, MODEL, OBSERVED, VARIANTS};
use crate::math::nonlinear::BootstrapFilter;
use crate::math::streams::Streams;
use crate::runner::{Experiment, VariantSummary, reload, summarize};
use crate::stats::{mean, standard_deviation};
use crate::{Error, Result};
use candle_core::{DType, Device};

/// Particles, and trajectories back through them, of the pictured beliefs.
const PARTICLES: usize = 2000;
/// Steps that are pictured, at most.
const STEPS: usize = 50;
/// How far parameters are pictured, in per cent of the truth.
const REACH: f64 = 100.0;
/// Mean and standard deviation over 104 runs of Schön, Wills & Ninness (2011), from memory, of a, b, c, d.
const PUBLISHED: [(f64, f64); 4] = [(0.50, 0.002), (25.0, 1.0), (7.99, 0.13), (0.05, 0.003)];

/// Draws two panels of states of the first variant, and one of parameters for each.
pub fn draw(experiment: &Experiment) -> Result<Figure> {
    let summary = summarize(experiment)?;
    let shown = shown(experiment, &summary)?;
    let Some(Shown { run, .. }) = shown.first() else {
        return Err(unexpected("growth", "a variant"));
    };
    let Source::Growth(generator) = &run.spec.data.source else {
        return Err(unexpected("growth", "`data.source` = \"growth\""));
    };
    if run.spec.data.standardize {
        return Err(unexpected(
            "growth",
            "`standardize = false`: the truth is in the data's units",
        ));
    }
    let loaded = reload(run)?;
    // The same rows again, with the states that made them.
    let streams = Streams::new(run.address.seed);
    let rows = run.spec.data.train.unwrap_or(1000);
    let (_, states) = generator.draw_with_states(rows, &mut streams.named("data/train").at(0));
    let batch = Batch::whole(&loaded.splits.train, DType::F64, &Device::Cpu)?;
    let joint = loaded.model.joint(&loaded.theta, &batch)?;
    let (system, sequences) = joint
        .dynamics()
        .ok_or_else(|| Error::Data("the figure draws a state space".into()))?;
    let filter = BootstrapFilter::new(system, sequences, PARTICLES)?;
    let numbers = streams.named("figure");
    let cloud = filter.cloud(0, &mut numbers.at(0))?;
    let (paths, _) = filter.trajectories(PARTICLES, &mut numbers.at(1))?;
    let steps = sequences.lengths()[0].min(STEPS);
    let past = (0..steps).map(|t| {
        let (states, weights) = cloud.step(t);
        belief(t, states.iter().copied().zip(weights.iter().copied()).collect())
    });
    let all = (0..steps).map(|t| {
        let drawn = paths
            .iter()
            .map(|path| (path.mean(sequences, 0, t)[0], 1.0 / PARTICLES as f64));
        belief(t, drawn.collect())
    });
    let truth: Vec<Point> = (0..steps).map(|t| (t as f64 + 1.0, states[t])).collect();
    let mut panels = vec![
        trajectory("the state, from the past", past.collect(), &truth, VARIANTS[1]),
        trajectory("from all observations", all.collect(), &truth, MODEL),
    ];
    let parameters = generator.parameters();
    panels.extend(shown.iter().map(|shown| estimates(shown.variant, &parameters)));
    let seeds = summary
        .variants
        .iter()
        .map(|variant| variant.seeds.len())
        .max()
        .unwrap_or(0);
    let caption = format!(
        "Above, seed {} of “{}”: mean and central 95 % of {PARTICLES} particles; dashed, the true state. Below, estimates of {seeds} \
         runs (grey), their mean and standard deviation (blue), and those of Schön, Wills & Ninness (2011; 104 runs) for a to d \
         (orange).",
        run.address.seed, run.address.variant
    );
    Ok(Figure::new(&experiment.loaded.question, 2, panels)
        .caption(caption)
        .row_height(560.0))
}

/// What is believed of one step: time from 1, lower end, mean, upper end.
type Belief = (f64, f64, f64, f64);

/// Mean and central 95 % of weighted states.
fn belief(t: usize, mut states: Vec<(f64, f64)>) -> Belief {
    states.sort_by(|a, b| a.0.total_cmp(&b.0));
    let quantile = |level: f64| {
        let mut sum = 0.0;
        let reached = states.iter().find(|(_, weight)| {
            sum += weight;
            sum >= level
        });
        reached.or(states.last()).map_or(f64::NAN, |state| state.0)
    };
    let mean = states.iter().map(|(x, weight)| x * weight).sum();
    (t as f64 + 1.0, quantile(0.025), mean, quantile(0.975))
}

fn trajectory(title: &str, beliefs: Vec<Belief>, truth: &[Point], color: Color) -> Panel {
    let mut panel = Panel::new(title, Axis::linear("step"), Axis::linear("state"));
    let band: Vec<_> = beliefs.iter().map(|b| (b.0, b.1, b.3)).collect();
    let middle: Vec<Point> = beliefs.iter().map(|b| (b.0, b.2)).collect();
    panel
        .band(&band, color.alpha(0.25))
        .line(&middle, Stroke::solid(color).width(3.0))
        .line(truth, Stroke::oracle());
    panel
}

/// Every run's estimates in per cent off the truth, a row for each parameter.
fn estimates(variant: &VariantSummary, parameters: &[(&str, f64)]) -> Panel {
    let names = parameters.iter().map(|(name, truth)| format!("{name} = {truth}"));
    let off = |name: &str, truth: f64| -> Vec<f64> {
        let scores = variant.scores(&format!("parameter/{name}")).into_values();
        scores.map(|value| 100.0 * (value / truth - 1.0)).collect()
    };
    let all = parameters.iter().flat_map(|(name, truth)| off(name, *truth));
    let title = match all.filter(|score| score.abs() > REACH).count() {
        0 => variant.name.clone(),
        beyond => format!("{} ({beyond} beyond)", variant.name),
    };
    let mut panel = Panel::new(
        title,
        Axis::linear("estimate off the truth (%)").limits(-REACH, REACH),
        Axis::names(names.collect()),
    );
    for (row, (name, truth)) in parameters.iter().enumerate() {
        let row = row as f64;
        let scores = off(name, *truth);
        // Runs one below the other, so that equal estimates stay apart.
        let height = |i: usize| row - 0.16 + 0.32 * (i as f64 + 0.5) / scores.len() as f64;
        let dots: Vec<Point> = scores
            .iter()
            .enumerate()
            .map(|(i, score)| (*score, height(i)))
            .collect();
        panel.points(&dots, Dot::new(BASELINE.alpha(0.5)).radius(4.0));
        let mut bar = |mean: f64, deviation: f64, at: f64, color| {
            panel
                .line(&[(mean - deviation, at), (mean + deviation, at)], Stroke::solid(color))
                .points(&[(mean, at)], Dot::new(color).radius(8.0));
        };
        if let Some(deviation) = standard_deviation(&scores) {
            bar(mean(&scores), deviation, row + 0.28, MODEL);
        }
        if let Some((mean, deviation)) = PUBLISHED.get(row as usize) {
            bar(
                100.0 * (mean / truth - 1.0),
                100.0 * deviation / truth,
                row - 0.28,
                OBSERVED,
            );
        }
    }
    panel.line(&[(0.0, -0.5), (0.0, parameters.len() as f64 - 0.5)], Stroke::oracle());
    panel
}
