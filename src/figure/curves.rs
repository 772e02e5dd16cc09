//! Learning curves: the mean over seeds with its interval, one line per variant, against oracle and baseline.

use super::axis::{Axis, number};
use super::chart::{Panel, Stroke, font_line};
use super::layout::Figure;
use super::theme::{TICK, variant};
use crate::{Error, Result};

/// The scores of one variant while it learns.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// The variant.
    pub name: String,
    /// Optimiser steps (or sweeps) of the evaluations, increasing.
    pub steps: Vec<f64>,
    /// For every finished seed its values at `steps`; a shorter row ends early.
    pub values: Vec<Vec<f64>>,
    /// Seeds that failed.
    pub failed: usize,
}

/// Texts of a figure.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Labels {
    /// The question.
    pub title: String,
    /// What to see; may be empty.
    pub caption: String,
    /// What the horizontal axis shows, with its unit.
    pub x: String,
    /// What the vertical axis shows, with its unit.
    pub y: String,
}

/// An interval for the mean of the scores of several seeds; None where there are too few.
pub type Interval<'a> = &'a dyn Fn(&[f64]) -> Option<(f64, f64)>;

/// Share of the steps that counts as the beginning, which need not fit on the axis.
const BEGINNING: f64 = 0.1;

/// Draws every curve's mean over seeds as a line and `interval` as a band. Where the first tenth of the steps alone would
/// make the axis more than three times as long, it is cut off, and a note says so.
///
/// # Errors
/// If there is no curve.
pub fn learning_curves(
    curves: &[Curve],
    oracle: Option<f64>,
    baseline: Option<f64>,
    interval: Interval,
    labels: &Labels,
) -> Result<Figure> {
    if curves.is_empty() {
        return Err(Error::Data(format!(
            "no curve to draw for \"{}\": expected at least one variant",
            labels.title
        )));
    }
    let mut notes: Vec<String> = Vec::new();
    let mut skipped = 0;
    let means: Vec<Vec<(f64, f64, Option<(f64, f64)>)>> = curves
        .iter()
        .map(|curve| {
            let rows = curve.steps.iter().enumerate().filter(|(_, step)| step.is_finite());
            rows.filter_map(|(i, step)| {
                let all: Vec<f64> = curve.values.iter().filter_map(|seed| seed.get(i).copied()).collect();
                let finite: Vec<f64> = all.iter().copied().filter(|v| v.is_finite()).collect();
                skipped += all.len() - finite.len();
                let mean = mean(&finite)?;
                Some((*step, mean, interval(&finite)))
            })
            .collect()
        })
        .collect();

    let mut y = Axis::linear(&labels.y);
    let everything = range(means.iter().flatten().map(|row| row.1), [oracle, baseline]);
    let last = means
        .iter()
        .flatten()
        .map(|row| row.0)
        .fold(f64::NEG_INFINITY, f64::max);
    let later = means.iter().flatten().filter(|row| row.0 > BEGINNING * last);
    let late = range(
        later.flat_map(|row| [row.1, row.2.map_or(row.1, |i| i.0), row.2.map_or(row.1, |i| i.1)]),
        [oracle, baseline],
    );
    if let (Some((low, high)), Some((from, to))) = (everything, late)
        && high - low > 3.0 * (to - from)
        && to > from
    {
        let room = 0.06 * (to - from);
        y = y.limits(from - room, to + room);
        notes.push(format!(
            "The axis leaves out the beginning, which reaches from {} to {}.",
            number(low),
            number(high)
        ));
    }

    let mut panel = Panel::new("", Axis::linear(&labels.x), y);
    for (index, rows) in means.iter().enumerate() {
        let band: Vec<_> = rows
            .iter()
            .map(|(x, mean, i)| i.map_or((*x, *mean, *mean), |(l, h)| (*x, l, h)))
            .collect();
        if rows.iter().any(|row| row.2.is_some()) {
            panel.band(
                &band,
                variant(index).0.alpha(if curves.len() > 8 { 0.10 } else { 0.18 }),
            );
        }
    }
    if let Some(value) = baseline {
        panel.reference(value, "baseline", Stroke::baseline());
    }
    if let Some(value) = oracle {
        panel.reference(value, "oracle", Stroke::oracle());
    }
    for (index, (curve, rows)) in curves.iter().zip(&means).enumerate() {
        let (color, dash) = variant(index);
        let line: Vec<_> = rows.iter().map(|row| (row.0, row.1)).collect();
        let total = curve.values.len() + curve.failed;
        let name = if curve.failed > 0 {
            format!("{} ({} of {total} failed)", curve.name, curve.failed)
        } else {
            curve.name.clone()
        };
        if line.is_empty() {
            notes.push(match curve.failed {
                0 => format!("{}: no finite value.", curve.name),
                failed => format!("{}: failed in {failed} of {total} seeds, nothing to draw.", curve.name),
            });
        }
        panel.named_line(name, &line, Stroke::solid(color).dash(dash));
    }
    if skipped > 0 {
        notes.push(format!("{skipped} values that are not finite are left out."));
    }
    let height = (2.0 * font_line(TICK) * curves.len() as f64 * 0.6 + 260.0).clamp(800.0, 1600.0);
    let figure = Figure::new(&labels.title, 1, vec![panel])
        .caption(&labels.caption)
        .row_height(height);
    Ok(notes.into_iter().fold(figure, Figure::note))
}

fn mean(values: &[f64]) -> Option<f64> {
    // Divided first, so that large values do not overflow.
    let n = values.len() as f64;
    (!values.is_empty()).then(|| values.iter().map(|v| v / n).sum())
}

fn range(values: impl Iterator<Item = f64>, references: [Option<f64>; 2]) -> Option<(f64, f64)> {
    values
        .chain(references.into_iter().flatten())
        .filter(|v| v.is_finite())
        .fold(None, |range, v| {
            let (low, high) = range.unwrap_or((v, v));
            Some((low.min(v), high.max(v)))
        })
}
