//! *bounds of sequences*: how far importance-weighted bounds and particle filters stay below log p(o_1 … o_T), against the
//! number of paths or particles, for each proposal.
//!
//! Each variant of the experiment is one point: the gap between the exact log-likelihood of the training sequences and
//! the objective, both per step. Points of one objective and one proposal are joined.

use super::unexpected;
use crate::Result;
use crate::figure::axis::Axis;
use crate::figure::chart::{Dot, Panel, Stroke};
use crate::figure::experiment::interval;
use crate::figure::layout::Figure;
use crate::figure::theme::{Dash, VARIANTS};
use crate::runner::{Experiment, summarize};
use crate::spec::Spec;
use crate::stats::mean;
use std::collections::BTreeMap;

/// The gaps of one variant.
struct Gap {
    /// Paths or particles.
    count: f64,
    mean: f64,
    interval: Option<(f64, f64)>,
}

/// The objective and the proposal of a variant in words, and its number of paths or particles.
fn place(spec: &Spec) -> ([String; 2], usize) {
    let proposal = spec.posterior.name().replace('_', " ");
    let objective = spec.objective.name();
    match spec.objective.particles() {
        Some((count, resampling)) => ([format!("{objective}, {resampling}"), proposal], count),
        None => (
            [objective.to_owned(), proposal],
            spec.posterior.facts().samples.unwrap_or(1),
        ),
    }
}

/// Draws the figure from finished runs.
pub fn draw(experiment: &Experiment) -> Result<Figure> {
    let summary = summarize(experiment)?;
    let mut groups: BTreeMap<[String; 2], Vec<Gap>> = BTreeMap::new();
    let mut seeds = 0;
    for (of, variant) in experiment.loaded.variants.iter().zip(&summary.variants) {
        let (exact, bound) = (
            variant.scores("train/log_likelihood"),
            variant.scores("train/objective"),
        );
        let gaps = bound.iter().filter_map(|(seed, bound)| Some(exact.get(seed)? - bound));
        let gaps: Vec<f64> = gaps.collect();
        if gaps.is_empty() {
            continue;
        }
        seeds = seeds.max(gaps.len());
        let (group, count) = place(&of.spec);
        groups.entry(group).or_default().push(Gap {
            count: count as f64,
            mean: mean(&gaps),
            interval: interval(&gaps),
        });
    }
    if groups.is_empty() {
        let expected = "finished runs of a model of sequences with an exact log-likelihood";
        return Err(unexpected("bounds_of_sequences", expected));
    }
    let mut proposals: Vec<&String> = groups.keys().map(|[_, proposal]| proposal).collect();
    proposals.sort();
    proposals.dedup();
    let panels = proposals.iter().map(|proposal| panel(proposal, &groups)).collect();
    Ok(Figure::new(&summary.question, proposals.len().min(2), panels)
        .caption(format!(
            "The exact log-likelihood of whole sequences minus its bound, per step: mean over {seeds} seeds with 95 % intervals. \
             Nothing is learnt. iwae weighs whole paths, fivo draws ancestors after each step. Lower is better."
        ))
        .row_height(560.0))
}

/// The gaps of one proposal.
fn panel(proposal: &str, groups: &BTreeMap<[String; 2], Vec<Gap>>) -> Panel {
    let counts = || groups.values().flatten().map(|gap| gap.count);
    let (least, most) = (
        counts().fold(f64::INFINITY, f64::min),
        counts().fold(f64::NEG_INFINITY, f64::max),
    );
    let mut panel = Panel::new(
        format!("Proposal: {proposal}"),
        Axis::log("paths or particles").limits(0.75 * least, 1.35 * most),
        Axis::log("log p(o) − bound (nats per step)"),
    );
    // The same range in all panels.
    for gap in groups.values().flatten() {
        panel.include(None, Some(gap.mean).filter(|mean| *mean > 0.0));
    }
    let mut objectives: Vec<&String> = groups.keys().map(|[objective, _]| objective).collect();
    objectives.sort();
    objectives.dedup();
    for ([objective, of], gaps) in groups {
        if of != proposal {
            continue;
        }
        let number = objectives.iter().position(|other| *other == objective).unwrap_or(0);
        let color = VARIANTS[number % VARIANTS.len()];
        let mut points: Vec<(f64, f64)> = gaps.iter().map(|gap| (gap.count, gap.mean)).collect();
        points.retain(|point| point.1 > 0.0);
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        match points[..] {
            [at] => {
                panel.end_label(at.1, objective, color);
            }
            _ => {
                let dash = if number == 0 { Dash::Solid } else { Dash::Dashed };
                panel.named_line(objective, &points, Stroke::solid(color).dash(dash));
            }
        }
        for gap in gaps {
            let inside = gap.interval.filter(|interval| interval.0 > 0.0);
            if gap.mean > 0.0 {
                panel.error_bar(gap.count, gap.mean, inside, color);
            }
        }
        panel.points(&points, Dot::new(color).radius(7.0));
    }
    panel
}
