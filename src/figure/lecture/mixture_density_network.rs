//! A conditional density with several modes (Bishop 1994): p(t|x) of the inverse sinusoid by one Gaussian, by a mixture
//! density network, and the true density. Below, the mixture's weights π_k(x), means μ_k(x) and standard deviations
//! σ_k(x).

use super::prediction::Prediction;
use super::{first_seed, sentence_case, unexpected};
use crate::Result;
use crate::data::Table;
use crate::figure::axis::Axis;
use crate::figure::chart::{Dot, Panel, Stroke};
use crate::figure::experiment::bounds;
use crate::figure::layout::Figure;
use crate::figure::number::fixed;
use crate::figure::theme::{ColorMap, OBSERVED, WHITE, mix};
use crate::runner::{Experiment, Reloaded, VariantSummary, reload, summarize};
use std::ops::Range;

/// The x and t shown.
const X: (f64, f64) = (-0.08, 1.08);
const T: (f64, f64) = (-0.05, 1.05);
/// Cells of the densities along x and t.
const GRID: (usize, usize) = (160, 140);
/// Densities from this value on have the same colour, because p(t|x) is unbounded at the ends of x.
const TOP: f64 = 8.0;
/// Points of the components' lines along x.
const ALONG: usize = 233;
/// Components of less weight are not drawn.
const FAINTEST: f64 = 0.02;
/// Components of this weight and more are drawn at full strength.
const FULL: f64 = 0.12;

/// Draws the figure from finished runs.
pub fn draw(experiment: &Experiment) -> Result<Figure> {
    let summary = summarize(experiment)?;
    let runs = experiment.runs()?;
    let [gaussian, mixture] = &summary.variants[..] else {
        return Err(unexpected(
            "mixture_density_network",
            "two variants: one Gaussian, then a mixture",
        ));
    };
    let mut panels = Vec::new();
    for variant in [gaussian, mixture] {
        let run = reload(first_seed(&runs, &variant.name)?)?;
        let prediction = Prediction::new(&run, cells())?;
        let density = |column: usize, t: f64| prediction.density(column, t);
        panels.push(density_panel(&title(variant, &summary.metric.name), &run, density));
    }
    let planned = first_seed(&runs, &mixture.name)?;
    let run = reload(planned)?;
    let truth = planned.spec.data.source.generator();
    let truth = truth.ok_or_else(|| unexpected("mixture_density_network", "data from a generator"))?;
    let x = cells();
    let density = |column: usize, t: f64| truth.log_prob(&[t], x.row(column)).map_or(f64::NAN, f64::exp);
    let oracle = summary
        .oracle
        .map_or(String::new(), |value| format!(": {}", fixed(value, 3)));
    panels.push(density_panel(&format!("Truth{oracle}"), &run, density));
    panels.extend(component_panels(&Prediction::new(&run, along())?));
    Ok(Figure::new(&summary.question, 3, panels)
        .caption(format!(
            "Density p(t|x) of seed {} (darkest: {TOP} and more) with test points in orange, and the test log-likelihood in \
             nats per datum over {} seeds with its 95 % interval. Below: the mixture's components as functions of x, fading \
             where their weight is small, coloured by where they lie in t.",
            planned.address.seed,
            mixture.seeds.len()
        ))
        .row_height(520.0))
}

/// The variant, and its log-likelihood with interval.
fn title(variant: &VariantSummary, metric: &str) -> String {
    let summary = variant.summary.get(metric);
    let mut text = sentence_case(&variant.name);
    if let Some(mean) = summary.and_then(|summary| summary.mean) {
        text += &format!(": {}", fixed(mean, 3));
    }
    if let Some((low, high)) = bounds(variant, metric) {
        text += &format!(" [{}, {}]", fixed(low, 3), fixed(high, 3));
    }
    text
}

/// The middle of each column of cells.
fn cells() -> Table {
    let width = (X.1 - X.0) / GRID.0 as f64;
    Table::new((0..GRID.0).map(|i| X.0 + (i as f64 + 0.5) * width).collect(), 1)
}

/// The x of the components' lines.
fn along() -> Table {
    let step = (X.1 - X.0) / (ALONG - 1) as f64;
    Table::new((0..ALONG).map(|i| X.0 + i as f64 * step).collect(), 1)
}

/// `density(column, t)` as heat under test points of `run`.
fn density_panel(title: &str, run: &Reloaded, density: impl Fn(usize, f64) -> f64) -> Panel {
    let mut panel = Panel::new(
        title,
        Axis::linear("x").limits(X.0, X.1),
        Axis::linear("t").limits(T.0, T.1),
    );
    let width = (X.1 - X.0) / GRID.0 as f64;
    let column = |x: f64| (((x - X.0) / width) as usize).min(GRID.0 - 1);
    panel.heat_to(|x, t| density(column(x), t), X, T, GRID, TOP, ColorMap::Density);
    if let Some(test) = &run.splits.test {
        let mut test = test.select(&(0..test.len().min(250)).collect::<Vec<_>>());
        run.splits.standardization.observed.invert(test.observed.values_mut());
        if let Some(given) = &mut test.given {
            run.splits.standardization.given.invert(given.values_mut());
            let points: Vec<_> = given.column(0).zip(test.observed.column(0)).collect();
            panel.points(&points, Dot::new(OBSERVED.alpha(0.55)).radius(3.5));
        }
    }
    panel
}

/// Weights, means and standard deviations along x.
fn component_panels(rows: &Prediction) -> Vec<Panel> {
    let panel = |title: &str, y: Axis| Panel::new(title, Axis::linear("x").limits(X.0, X.1), y);
    let mut weights = panel("Weights", Axis::linear("weight π(x)").limits(0.0, 1.02));
    let mut means = panel("Means", Axis::linear("mean μ(x), as t").limits(T.0, T.1));
    let mut deviations = panel("Standard deviations", Axis::log("standard deviation σ(x), as t"));
    let along = along();
    let parts = (0..rows.components()).flat_map(|k| strengths(rows, k).into_iter().map(move |part| (k, part)));
    let mut parts: Vec<_> = parts.collect();
    // Faint components are drawn first, in pale opaque colours, so that overlapping ends do not show.
    parts.sort_by(|(_, (_, a)), (_, (_, b))| a.total_cmp(b));
    for (k, (stretch, strength)) in parts {
        let color = ColorMap::Viridis.at(0.9 * typical_mean(rows, k));
        let stroke = Stroke::solid(mix(&[color, WHITE], &[strength, 1.0 - strength]));
        let line = |value: fn(&Prediction, usize, usize) -> f64| -> Vec<(f64, f64)> {
            stretch.clone().map(|i| (along.row(i)[0], value(rows, i, k))).collect()
        };
        weights.line(&line(Prediction::weight), stroke);
        means.line(&line(Prediction::component_mean), stroke);
        deviations.line(&line(Prediction::deviation), stroke);
    }
    vec![weights, means, deviations]
}

/// The mean of component `k` where it has weight.
fn typical_mean(rows: &Prediction, k: usize) -> f64 {
    let weight: f64 = (0..ALONG).map(|i| rows.weight(i, k)).sum();
    let sum: f64 = (0..ALONG).map(|i| rows.weight(i, k) * rows.component_mean(i, k)).sum();
    (sum / weight.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0)
}

/// Stretches along x on which component `k` is drawn with one strength, from 0 to 1; neighbours share a point.
fn strengths(rows: &Prediction, k: usize) -> Vec<(Range<usize>, f64)> {
    let level = |i: usize| match rows.weight(i, k) {
        weight if weight < FAINTEST => 0,
        weight => (8.0 * (weight / FULL).min(1.0).sqrt()).ceil() as u8,
    };
    let mut stretches = Vec::new();
    let mut start = 0;
    for i in 1..=ALONG {
        if i == ALONG || level(i) != level(start) {
            if level(start) > 0 {
                stretches.push((start..(i + 1).min(ALONG), f64::from(level(start)) / 8.0));
            }
            start = i;
        }
    }
    stretches
}
