//! Comparison of variants: one row each, with every seed's score, the mean, and its interval, against oracle and baseline.

use super::axis::{Axis, number};
use super::chart::{Dot, Panel, Stroke};
use super::curves::Labels;
use super::layout::Figure;
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

/// Draws variants as rows in the given order; `labels.x` names metric and unit, `labels.y` is not used.
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
    let mut panel = Panel::new("", Axis::linear(&labels.x), Axis::names(names));
    if let Some(value) = baseline {
        panel.vertical_reference(value, "baseline", Stroke::baseline());
    }
    if let Some(value) = oracle {
        panel.vertical_reference(value, "oracle", Stroke::oracle());
    }
    for (index, row) in rows.iter().enumerate() {
        let y = index as f64;
        let scores: Vec<_> = row.scores.iter().map(|score| (*score, y)).collect();
        panel.points(&scores, Dot::new(BLACK.alpha(0.22)).radius(6.0));
        if let Some((low, high)) = row.interval {
            panel.line(&[(low, y), (high, y)], Stroke::solid(MODEL).width(6.0));
        }
        let seeds = row.scores.len() + row.failed;
        let failures = match row.failed {
            0 => String::new(),
            failed => format!("{failed} of {seeds} failed"),
        };
        let Some(mean) = row.mean.filter(|mean| mean.is_finite()) else {
            let text = if row.failed > 0 && row.scores.is_empty() {
                "failed".to_string()
            } else {
                failures
            };
            panel.end_label(y, if text.is_empty() { "no score".to_string() } else { text }, FAILED);
            continue;
        };
        panel.points(&[(mean, y)], Dot::new(MODEL).radius(9.5));
        let value = match row.interval {
            Some((low, high)) => format!("{} [{}, {}]", number(mean), number(low), number(high)),
            None => number(mean),
        };
        let (text, color) = if failures.is_empty() {
            (value, QUIET)
        } else {
            (format!("{value}, {failures}"), FAILED)
        };
        panel.end_label(y, text, color);
    }
    let figure = Figure::new(&labels.title, 1, vec![panel]).caption(&labels.caption);
    Ok(figure.row_height(200.0 + 60.0 * rows.len() as f64))
}
