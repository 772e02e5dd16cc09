//! The cost of an approximate posterior: one network trained by the marginal likelihood, and by the expected log-likelihood
//! under the exact posterior, a stale one, samples of it, and its mode. Learning curves over seeds against the oracle, and
//! the paired differences of the final values from the marginal likelihood.

use super::learning::named_curves;
use super::unexpected;
use crate::Result;
use crate::figure::axis::Axis;
use crate::figure::chart::{Dot, Panel, Stroke};
use crate::figure::curves::Curve;
use crate::figure::experiment::{bounds, curve};
use crate::figure::layout::Figure;
use crate::figure::number::{fixed, number};
use crate::figure::theme::{BLACK, Dash, FAILED, MODEL, VARIANTS};
use crate::model::LatentKind;
use crate::runner::{Experiment, Summary, VariantSummary, summarize};
use crate::spec::Spec;

/// How far below the oracle the curves' axis reaches, nats.
const DEPTH: f64 = 0.32;

/// Draws the figure from finished runs.
pub fn draw(experiment: &Experiment) -> Result<Figure> {
    let summary = summarize(experiment)?;
    let (Some(oracle), Some(first)) = (summary.oracle, summary.variants.first()) else {
        return Err(unexpected(
            "objectives",
            "a generator with a tractable density, and at least one variant",
        ));
    };
    if first.scores(&summary.metric.name).is_empty() {
        return Err(unexpected("objectives", "a finished run of its first variant"));
    }
    let specs = experiment.loaded.variants.iter().map(|variant| &variant.spec);
    let looks: Vec<Stroke> = specs.map(look).collect();
    let name = &summary.metric.name;
    let curves: Vec<Curve> = summary.variants.iter().map(|variant| curve(variant, name)).collect();
    Ok(Figure::new(
        &summary.question,
        1,
        vec![learning(&curves, &looks, oracle), finals(&summary, &looks)],
    )
    .caption(format!(
        "Test log-likelihood (higher is better): mean over {} seeds with 95 % intervals.{} Samples of the posterior add noise \
         to that gradient; its mode (hard EM) adds a bias.",
        first.seeds.len(),
        exactness(experiment, &summary)
    ))
    .row_height(660.0))
}

/// A sentence on the largest difference between runs with the exact posterior and the marginal likelihood.
fn exactness(experiment: &Experiment, summary: &Summary) -> String {
    let first = summary.variants[0].scores(&summary.metric.name);
    let exact = |spec: &Spec| spec.objective.needs_posterior() && spec.posterior.is_exact_and_fresh();
    let specs = experiment.loaded.variants.iter().map(|variant| &variant.spec);
    let apart = specs
        .zip(&summary.variants)
        .filter(|(spec, _)| exact(spec))
        .flat_map(|(_, variant)| variant.scores(&summary.metric.name))
        .filter_map(|(seed, value)| Some((value - first.get(&seed)?).abs()))
        .reduce(f64::max);
    apart.map_or(String::new(), |apart| {
        format!(
            " The exact posterior gives the gradient of the marginal likelihood: both end within {} nats of each other on every \
             seed.",
            number(10f64.powf(apart.max(1e-15).log10().ceil()))
        )
    })
}

/// A wide light line for the marginal likelihood, below that of the exact posterior, which should coincide with it.
fn look(spec: &Spec) -> Stroke {
    if !spec.objective.needs_posterior() {
        return Stroke::solid(VARIANTS[5]).width(11.0);
    }
    let facts = spec.posterior.facts();
    if facts.is_exact && spec.posterior.common().refresh_every > 1 {
        return Stroke::solid(VARIANTS[2]).dash(Dash::DashDot);
    }
    match facts.samples {
        _ if facts.is_exact => Stroke::solid(MODEL),
        _ if !facts.is_drawn => Stroke::solid(FAILED),
        Some(samples) if facts.draws.are_independent(LatentKind::Finite) => match samples {
            1 => Stroke::solid(VARIANTS[4]),
            2..=16 => Stroke::solid(VARIANTS[3]).dash(Dash::Dashed),
            _ => Stroke::solid(VARIANTS[7]).dash(Dash::Dotted),
        },
        _ => Stroke::solid(MODEL),
    }
}

/// Curves near the oracle.
fn learning(curves: &[Curve], looks: &[Stroke], oracle: f64) -> Panel {
    let last = curves
        .iter()
        .filter_map(|curve| curve.steps.last())
        .copied()
        .fold(0.0, f64::max);
    let mut panel = Panel::new(
        "Log-likelihood while learning (nats per datum)",
        Axis::linear("optimiser steps").limits(0.0, last),
        Axis::linear("").limits(oracle - DEPTH, oracle + 0.06 * DEPTH),
    );
    panel.reference(oracle, "oracle", Stroke::oracle());
    named_curves(&mut panel, curves, looks);
    panel
}

/// Final values minus those of the first variant, seed by seed; in the margin, the final values themselves.
fn finals(summary: &Summary, looks: &[Stroke]) -> Panel {
    let names = summary.variants.iter().map(|variant| variant.name.clone()).collect();
    let label = format!(
        "difference from “{}” (nats per datum): better →",
        summary.variants[0].name
    );
    let mut panel = Panel::new(
        "Final log-likelihood, paired by seed",
        Axis::linear(label),
        Axis::names(names),
    );
    panel.line(
        &[(0.0, -0.5), (0.0, summary.variants.len() as f64 - 0.5)],
        Stroke::solid(BLACK).width(2.0),
    );
    panel.points(&[(0.0, -0.1)], Dot::new(looks[0].color).radius(9.5));
    for (row, (variant, look)) in summary.variants.iter().zip(looks).enumerate() {
        let row = row as f64;
        panel.end_label(row, margin(variant, &summary.metric.name), look.color);
        let Some(found) = summary.differences.iter().find(|found| found.variant == variant.name) else {
            continue;
        };
        let first = summary.variants[0].scores(&summary.metric.name);
        let own = variant.scores(&summary.metric.name);
        let seeds: Vec<_> = own
            .iter()
            .filter_map(|(seed, value)| Some((value - first.get(seed)?, row + 0.22)))
            .collect();
        panel.points(&seeds, Dot::new(BLACK.alpha(0.28)).radius(5.5));
        if let Some((low, high)) = found.difference.interval.map(|interval| interval.bounds()) {
            panel.line(
                &[(low, row - 0.1), (high, row - 0.1)],
                Stroke::solid(look.color).width(6.0),
            );
        }
        panel.points(&[(found.difference.mean, row - 0.1)], Dot::new(look.color).radius(9.5));
    }
    panel
}

/// The mean of a variant's final values with its interval.
fn margin(variant: &VariantSummary, metric: &str) -> String {
    let summary = variant.summary.get(metric);
    let mean = summary.and_then(|summary| summary.mean);
    let text = |value: f64| fixed(value, 4);
    match (mean, bounds(variant, metric)) {
        (Some(mean), Some((low, high))) => format!("{} [{}, {}]", text(mean), text(low), text(high)),
        (Some(mean), None) => text(mean),
        _ => "no finished seed".to_owned(),
    }
}
