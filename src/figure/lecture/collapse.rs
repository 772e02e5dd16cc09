//! *collapse*: an approximate posterior that maximises the expected log-likelihood, without the entropy of the ELBO.
//!
//! `E_q[log p(x, z)]` is largest if q is a point mass. Then p(x|z) narrows to its floor, as if z were known, and p(x)
//! is small at the data. The entropy of q in the evidence lower bound prevents both.

use super::continuous::{Continuous, Place, limits, plane};
use super::learning::named_curves;
use super::sentence_case;
use super::shown::{log_likelihood, shown};
use crate::Result;
use crate::figure::axis::Axis;
use crate::figure::chart::{Dot, Panel, Stroke};
use crate::figure::curves::Curve;
use crate::figure::experiment::{curve, likelihood};
use crate::figure::layout::Figure;
use crate::figure::theme::{MODEL, OBSERVED, variant};
use crate::runner::{Experiment, Summary, agreed, summarize};
use std::f64::consts::{E, TAU};

/// Points shown of the data and of each model.
const POINTS: usize = 1000;
/// The share of a model's points that the axes must hold.
const SHARE: f64 = 0.8;

/// Draws the standard deviation of q and the log-likelihood over training, and samples of every variant.
pub fn draw(experiment: &Experiment) -> Result<Figure> {
    let summary = summarize(experiment)?;
    let shown = shown(experiment, &summary)?;
    let trained = shown
        .iter()
        .map(|shown| Continuous::of(&shown.run))
        .collect::<Result<Vec<_>>>()?;
    let dimensions = trained.first().map_or(1, |trained| trained.dimensions) as f64;
    let curves = |metric: &str| -> Vec<Curve> { summary.variants.iter().map(|v| curve(v, metric)).collect() };
    // H = Z/2 log 2πe + Σ log σ
    let deviations = curves("test/posterior_entropy").into_iter().map(|entropy| Curve {
        values: entropy
            .values
            .iter()
            .map(|seed| seed.iter().map(|h| deviation(*h, dimensions)).collect())
            .collect(),
        ..entropy
    });
    let mut panels = vec![
        learning(
            "Standard deviation of q(z|x)",
            Axis::log("geometric mean"),
            &deviations.collect::<Vec<_>>(),
        ),
        likelihoods(&summary, &curves(likelihood(&summary.variants))),
    ];
    let data = trained
        .first()
        .map_or(Vec::new(), |trained| trained.train_points(POINTS));
    let mut samples = Vec::new();
    for trained in &trained {
        let generator = &mut trained.run.streams.named("figure/samples").at(0);
        samples.push(trained.samples(POINTS, generator)?.1);
    }
    for (shown, drawn) in shown.iter().zip(&samples) {
        let title = format!(
            "{}: {}",
            sentence_case(&shown.variant.name),
            log_likelihood(shown.variant)
        );
        let mut panel = plane(title, limits(data.iter().chain(central(drawn))));
        panel
            .points(&data, Dot::new(OBSERVED.alpha(0.6)).radius(4.0))
            .points(drawn, Dot::new(MODEL.alpha(0.6)).radius(4.0))
            .key("data", OBSERVED)
            .key("samples of p(x)", MODEL);
        panels.push(panel);
    }
    Ok(Figure::new(&summary.question, 2, panels)
        .caption(format!(
            "Top: over training, mean over {} seeds with 95 % intervals. Below: points of one seed, and the mean test \
             log-likelihood in nats per datum [95 % interval].",
            experiment.loaded.seeds.len()
        ))
        .row_height(600.0))
}

/// The [`SHARE`] of points nearest to the origin, the centre of the data.
fn central(points: &[Place]) -> impl Iterator<Item = &Place> + Clone {
    let mut near: Vec<&Place> = points.iter().collect();
    near.sort_by(|a, b| a.0.hypot(a.1).total_cmp(&b.0.hypot(b.1)));
    near.truncate((SHARE * points.len() as f64) as usize);
    near.into_iter()
}

/// The geometric mean of the standard deviations of a Gaussian with this entropy (nats).
fn deviation(entropy: f64, dimensions: f64) -> f64 {
    (entropy / dimensions).exp() / (TAU * E).sqrt()
}

fn learning(title: &str, y: Axis, curves: &[Curve]) -> Panel {
    let looks: Vec<Stroke> = (0..curves.len()).map(|index| Stroke::solid(variant(index).0)).collect();
    let mut panel = Panel::new(title, Axis::linear("optimiser steps"), y);
    named_curves(&mut panel, curves, &looks);
    panel
}

fn likelihoods(summary: &Summary, curves: &[Curve]) -> Panel {
    let mut panel = learning("Test log-likelihood", Axis::linear("nats per datum"), curves);
    if let Some(oracle) = agreed(&summary.variants, "test/oracle") {
        panel.reference(oracle, "oracle", Stroke::oracle());
    }
    panel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_deviation_is_that_of_a_gaussian_of_this_entropy() {
        let entropy = |deviations: &[f64]| -> f64 { deviations.iter().map(|s| 0.5 * (TAU * E).ln() + s.ln()).sum() };
        assert!((deviation(entropy(&[0.3]), 1.0) - 0.3).abs() < 1e-12);
        assert!((deviation(entropy(&[0.1, 0.4]), 2.0) - 0.2).abs() < 1e-12);
    }
}
