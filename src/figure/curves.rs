//! Learning curves: the mean over seeds with its interval, one line per variant, against oracle and baseline.

use super::axis::{Axis, NARROWEST};
use super::chart::{Dot, Panel, Stroke};
use super::layout::{Figure, left_out};
use super::number::number;
use super::theme::{GRID, MODEL, variant};
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
/// More variants than this get a panel each.
const TOGETHER: usize = 8;

/// One evaluation of one variant, over its seeds.
struct Summary {
    step: f64,
    mean: f64,
    interval: Option<(f64, f64)>,
}

/// Draws every curve's mean over seeds as a line and `interval` as a band: up to eight variants in one panel, more in a
/// panel each, with the others behind in grey. A curve that ends before others has a dot there, and a thin line to its
/// name. Where the first tenth of the steps alone would make the axis more than
/// three times as long, it is cut off, and a note says so.
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
    let (summaries, skipped): (Vec<_>, Vec<_>) = curves.iter().map(|curve| summarise(curve, interval)).unzip();
    for (curve, _) in curves.iter().zip(&summaries).filter(|(_, rows)| rows.is_empty()) {
        notes.push(match curve.failed {
            0 => format!("{}: no finite value.", curve.name),
            failed => format!(
                "{}: failed ({failed} of {}), nothing to draw.",
                curve.name,
                curve.values.len() + failed
            ),
        });
    }
    let (axes, cut) = axes(&summaries, oracle, baseline);
    notes.extend(cut);
    match skipped.iter().sum() {
        0 => {}
        count => notes.push(left_out(count)),
    }
    let references = |panel: &mut Panel, named: bool| {
        for (value, name, stroke) in [
            (baseline, "baseline", Stroke::baseline()),
            (oracle, "oracle", Stroke::oracle()),
        ] {
            match value {
                Some(value) if named => panel.reference(value, name, stroke),
                Some(value) => panel.horizontal(value, stroke),
                None => panel,
            };
        }
    };
    let figure = if curves.len() <= TOGETHER {
        let mut panel = Panel::new("", axes.0, axes.1);
        for (index, rows) in summaries.iter().enumerate() {
            panel.band(&band(rows), variant(index).0.alpha(0.18));
        }
        references(&mut panel, true);
        for (index, (curve, rows)) in curves.iter().zip(&summaries).enumerate() {
            let (color, dash) = variant(index);
            panel.named_line(title(curve), &line(rows), Stroke::solid(color).dash(dash));
        }
        let last = summaries
            .iter()
            .flatten()
            .map(|row| row.step)
            .fold(f64::NEG_INFINITY, f64::max);
        for (index, end) in summaries
            .iter()
            .enumerate()
            .filter_map(|(i, rows)| Some((i, rows.last()?)))
        {
            if end.step < last {
                let (color, dash) = variant(index);
                let held = Stroke::solid(color.alpha(0.5)).width(1.5).dash(dash);
                panel
                    .line(&[(end.step, end.mean), (last, end.mean)], held)
                    .points(&[(end.step, end.mean)], Dot::new(color).radius(7.0));
            }
        }
        Figure::new(&labels.title, 1, vec![panel]).row_height(800.0)
    } else {
        let panels = curves.iter().zip(&summaries).map(|(curve, rows)| {
            let mut panel = Panel::new(title(curve), axes.0.clone(), axes.1.clone());
            for other in &summaries {
                panel.line(&line(other), Stroke::solid(GRID).width(2.0));
            }
            references(&mut panel, false);
            panel
                .band(&band(rows), MODEL.alpha(0.25))
                .line(&line(rows), Stroke::solid(MODEL));
            panel
        });
        for (value, name) in [(oracle, "oracle (dashed)"), (baseline, "baseline (dotted)")] {
            notes.extend(value.map(|value| format!("{name}: {}", number(value))));
        }
        Figure::new(&labels.title, 3, panels.collect()).row_height(330.0)
    };
    Ok(notes.into_iter().fold(
        figure.caption(&labels.caption).shared_labels(&labels.x, &labels.y),
        Figure::note,
    ))
}

/// Mean and interval at each step, and how many values were not finite.
fn summarise(curve: &Curve, interval: Interval) -> (Vec<Summary>, usize) {
    let mut skipped = 0;
    let mut rows = Vec::new();
    for (i, step) in curve.steps.iter().enumerate().filter(|(_, step)| step.is_finite()) {
        let all = curve.values.iter().filter_map(|seed| seed.get(i).copied());
        let (finite, other): (Vec<f64>, Vec<f64>) = all.partition(|value| value.is_finite());
        skipped += other.len();
        if !finite.is_empty() {
            // Divided first, so that large values do not overflow.
            let n = finite.len() as f64;
            let mean = finite.iter().map(|value| value / n).sum();
            rows.push(Summary {
                step: *step,
                mean,
                interval: interval(&finite),
            });
        }
    }
    (rows, skipped)
}

fn title(curve: &Curve) -> String {
    match curve.failed {
        0 => curve.name.clone(),
        failed => format!("{} ({failed} of {} failed)", curve.name, curve.values.len() + failed),
    }
}

fn line(rows: &[Summary]) -> Vec<(f64, f64)> {
    rows.iter().map(|row| (row.step, row.mean)).collect()
}

/// The rows that have an interval: (step, low, high).
fn band(rows: &[Summary]) -> Vec<(f64, f64, f64)> {
    rows.iter()
        .filter_map(|row| row.interval.map(|(low, high)| (row.step, low, high)))
        .collect()
}

/// Height of an axis whose beginning is cut off, in the narrowest there can be.
const WIDTHS: f64 = 20.0;

/// Axes for all curves, and a note if the beginning is cut off.
fn axes(summaries: &[Vec<Summary>], oracle: Option<f64>, baseline: Option<f64>) -> ((Axis, Axis), Option<String>) {
    let rows = || summaries.iter().flatten();
    let references = || [oracle, baseline].into_iter().flatten();
    let (mut x, mut y) = (Axis::linear(""), Axis::linear(""));
    let Some((first, last)) = range(rows().map(|row| row.step)) else {
        return ((x, y), None);
    };
    if first < last {
        x = x.limits(first, last);
    }
    let later = rows().filter(|row| row.step > first + BEGINNING * (last - first));
    let late = range(
        later
            .flat_map(|row| {
                let (low, high) = row.interval.unwrap_or((row.mean, row.mean));
                [row.mean, low, high]
            })
            .chain(references()),
    );
    let all = range(rows().map(|row| row.mean).chain(references()));
    let (Some((low, high)), Some((from, to))) = (all, late) else {
        return ((x, y), None);
    };
    // Of an end that is as good as still, an axis shows so much at least.
    let least = WIDTHS * NARROWEST * from.abs().max(to.abs());
    let still = 0.5 * (least - (to - from)).max(0.0);
    let (from, to) = (from - still, to + still);
    if to <= from || high - low <= 3.0 * (to - from) {
        return ((x, y), None);
    }
    let room = 0.06 * (to - from);
    y = y.limits(from - room, to + room);
    let reach = if low < from - room { low } else { high };
    let note = format!(
        "The beginning, which reaches to {}, lies outside the axis.",
        number(reach)
    );
    ((x, y), Some(note))
}

/// Smallest and largest finite value.
pub(super) fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|value| value.is_finite()).fold(None, |range, value| {
        let (low, high) = range.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the note of a curve through `values` says that its beginning is cut off, with the axis that is left.
    fn cut(values: impl Fn(f64) -> f64) -> Option<Axis> {
        let curve = Curve {
            name: "one".into(),
            steps: (0..40).map(f64::from).collect(),
            values: vec![(0..40).map(f64::from).map(values).collect()],
            failed: 0,
        };
        let (rows, _) = summarise(&curve, &|_| None);
        let ((_, y), note) = axes(&[rows], None, None);
        note.map(|_| y)
    }

    #[test]
    fn a_far_beginning_is_cut_off_and_said() {
        assert!(cut(|step| step).is_none());
        assert!(cut(|_| -641.6).is_none());
        // Too small a change for labels of seven digits: the axis shows all of it, and nothing is cut off.
        assert!(cut(|step| -641.6 - if step == 0.0 { 1e-5 } else { 0.0 }).is_none());
        // The end is as good as still.
        let still = |step: f64| -641.6 - if step == 0.0 { 0.4 } else { 1e-9 * step };
        let height = cut(still).unwrap().scale(None).span();
        assert!((0.01..0.02).contains(&height), "{height}");
        // It moves: all of what it does is shown.
        let moving = |step: f64| if step == 0.0 { -1e3 } else { step };
        let height = cut(moving).unwrap().scale(None).span();
        assert!((35.0..50.0).contains(&height), "{height}");
    }
}
