//! *gap*: the gap between log p(x) and the evidence lower bound during training with each objective,
//! `log p(x) − ELBO = KL(q(z|x) ‖ p(z|x))`, as mean over the test points, beside log p(x) itself.
//!
//! A large gap does not mean a bad model: log p(x) may be best where q fits worst. The bound alone does not show which
//! of the two is low.

use super::learning::named_curves;
use super::unexpected;
use crate::Result;
use crate::figure::axis::Axis;
use crate::figure::chart::{Panel, Stroke};
use crate::figure::curves::Curve;
use crate::figure::experiment::{curve, likelihood};
use crate::figure::layout::Figure;
use crate::figure::theme::variant;
use crate::figure::window::range;
use crate::runner::{Experiment, Summary, agreed, summarize};

/// How far below the oracle the axis of the log-likelihood reaches, nats.
const DEPTH: f64 = 0.9;

/// Draws log p(x) and the gap over the optimiser's steps.
pub fn draw(experiment: &Experiment) -> Result<Figure> {
    let summary = summarize(experiment)?;
    let (likelihoods, gaps) = (
        curves(&summary, likelihood(&summary.variants)),
        curves(&summary, "test/posterior_gap"),
    );
    let Some(oracle) = agreed(&summary.variants, "test/oracle") else {
        return Err(unexpected("gap", "a generator with a tractable density"));
    };
    let looks: Vec<Stroke> = (0..gaps.len())
        .map(|index| {
            let (color, dash) = variant(index);
            Stroke::solid(color).dash(dash)
        })
        .collect();
    let last = range(gaps.iter().flat_map(|curve| curve.steps.iter().copied())).map_or(1.0, |(_, last)| last);
    let steps = || Axis::linear("optimiser steps").limits(0.0, last);
    let mut model = Panel::new(
        "The model: test log-likelihood (nats per datum)",
        steps(),
        Axis::linear("").limits(oracle - DEPTH, oracle + 0.06 * DEPTH),
    );
    model.reference(oracle, "oracle", Stroke::oracle());
    named_curves(&mut model, &likelihoods, &looks);
    let title = "The approximate posterior: log p(x) − ELBO = KL(q ‖ p(z|x)) (nats per datum)";
    let mut gap = Panel::new(title, steps(), Axis::log(""));
    named_curves(&mut gap, &gaps, &looks);
    Ok(Figure::new(&summary.question, 1, vec![model, gap])
        .caption(format!(
            "log p(x) by quadrature over z; mean over {} seeds with 95 % intervals.",
            experiment.loaded.seeds.len()
        ))
        .row_height(640.0))
}

fn curves(summary: &Summary, metric: &str) -> Vec<Curve> {
    summary.variants.iter().map(|variant| curve(variant, metric)).collect()
}
