//! Comparison of variants: one row each, with every seed's score, the mean, and its interval, against oracle and baseline.

use super::axis::Axis;
use super::chart::{Dot, Panel, Stroke};
use super::curves::{Labels, range};
use super::layout::Figure;
use super::number::{fixed, number};
use super::theme::{BLACK, FAILED, MODEL, QUIET};
use crate::{Error, Result};

/// The final scores of one variant.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The variant.
    pub name: String,
    /// One score per finished seed.
    pub scores: Vec<f64>,
    /// Seeds that failed.
    pub failed: usize,
    /// The mean (or another centre) of the scores.
    pub mean: Option<f64>,
    /// Its interval.
    pub interval: Option<(f64, f64)>,
}

/// Scores further from the quartiles of all scores than this many times their distance lie outside the axis.
const FENCE: f64 = 12.0;

/// Draws variants as rows in the given order; `labels.x` names metric and unit, `labels.y` is not used. A few scores that
/// are far from all others lie outside the axis; an arrow and the printed value stand for a mean among them.
///
/// # Errors
/// If there is no row.
pub fn comparison(rows: &[Row], oracle: Option<f64>, baseline: Option<f64>, labels: &Labels) -> Result<Figure> {
    if rows.is_empty() {
        return Err(Error::Data(format!(
            "no variant to compare for \"{}\": expected at least one row",
            labels.title
        )));
    }
    let names = rows.iter().map(|row| row.name.clone()).collect();
    let limits = limits(rows, oracle, baseline);
    let axis = Axis::linear(&labels.x);
    let x = limits.map_or(axis.clone(), |(from, to)| axis.limits(from, to));
    let mut panel = Panel::new("", x, Axis::names(names));
    if let Some(value) = baseline {
        panel.vertical_reference(value, "baseline", Stroke::baseline());
    }
    if let Some(value) = oracle {
        panel.vertical_reference(value, "oracle", Stroke::oracle());
    }
    let decimals = decimals(rows);
    for (index, row) in rows.iter().enumerate() {
        // Seeds below the estimate, so that neither hides the other.
        let (estimate, seeds) = (index as f64 - 0.1, index as f64 + 0.2);
        let scores: Vec<_> = row.scores.iter().map(|score| (*score, seeds)).collect();
        panel.points(&scores, Dot::new(BLACK.alpha(0.28)).radius(5.5));
        let Some(mean) = row.mean.filter(|mean| mean.is_finite()) else {
            panel.end_label(index as f64, outcome(row).unwrap_or("no score".to_string()), FAILED);
            continue;
        };
        if let Some((low, high)) = row.interval {
            panel.line(&[(low, estimate), (high, estimate)], Stroke::solid(MODEL).width(6.0));
        }
        match limits {
            Some((from, to)) if mean < from || mean > to => {
                let (edge, inner) = if mean < from {
                    (from, from + 0.04 * (to - from))
                } else {
                    (to, to - 0.04 * (to - from))
                };
                panel.arrow((inner, estimate), (edge, estimate), Stroke::solid(MODEL));
            }
            _ => _ = panel.points(&[(mean, estimate)], Dot::new(MODEL).radius(9.5)),
        }
        let text = |value: f64| {
            if value.abs() < 1e4 {
                fixed(value, decimals)
            } else {
                number(value)
            }
        };
        let value = match row.interval {
            Some((low, high)) => format!("{} [{}, {}]", text(mean), text(low), text(high)),
            None => text(mean),
        };
        match outcome(row) {
            Some(failures) => panel.end_label(index as f64, format!("{value}, {failures}"), FAILED),
            None => panel.end_label(index as f64, value, QUIET),
        };
    }
    let mut figure = Figure::new(&labels.title, 1, vec![panel]).caption(&labels.caption);
    if limits.is_some() {
        figure = figure.note("Scores far from all others lie outside the axis.");
    }
    Ok(figure.row_height(200.0 + 60.0 * rows.len() as f64))
}

/// Failed seeds in words, if any.
fn outcome(row: &Row) -> Option<String> {
    match (row.failed, row.scores.len()) {
        (0, _) => None,
        (failed, 0) => Some(format!("failed ({failed} of {failed})")),
        (failed, finished) => Some(format!("{failed} of {} failed", failed + finished)),
    }
}

/// Decimals that show two digits of the typical interval, or four digits of the scores where there is none.
fn decimals(rows: &[Row]) -> usize {
    let positive = |values: Vec<f64>| -> Option<f64> {
        let mut values: Vec<f64> = values.into_iter().filter(|v| v.is_finite() && *v > 0.0).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    let half_widths = rows
        .iter()
        .filter_map(|row| row.interval)
        .map(|(low, high)| 0.5 * (high - low))
        .collect();
    let sizes = rows.iter().filter_map(|row| row.mean).map(f64::abs).collect();
    let resolution = positive(half_widths)
        .map(|w| w / 10.0)
        .or(positive(sizes).map(|size| size / 1e3));
    (-resolution.unwrap_or(0.01).log10().floor()).clamp(0.0, 6.0) as usize
}

/// Limits of the axis if a few scores are so far away that they would hide the differences of the others.
fn limits(rows: &[Row], oracle: Option<f64>, baseline: Option<f64>) -> Option<(f64, f64)> {
    let intervals = rows
        .iter()
        .filter_map(|row| row.interval)
        .flat_map(|(low, high)| [low, high]);
    let references = || [oracle, baseline].into_iter().flatten();
    let scores = rows
        .iter()
        .flat_map(|row| row.scores.iter().copied().chain(row.mean))
        .chain(intervals)
        .chain(references());
    let mut scores: Vec<f64> = scores.filter(|score| score.is_finite()).collect();
    scores.sort_by(f64::total_cmp);
    let quartile = |share: usize| scores.get(scores.len() * share / 4).copied();
    let (low, high) = (quartile(1)?, quartile(3)?);
    let room = FENCE * (high - low);
    let inside = scores
        .iter()
        .copied()
        .filter(|score| (low - room..=high + room).contains(score));
    let (from, to) = range(inside.chain(references()))?;
    let beyond = scores.first().is_some_and(|s| *s < from) || scores.last().is_some_and(|s| *s > to);
    (beyond && from < to).then_some((from - 0.05 * (to - from), to + 0.05 * (to - from)))
}
