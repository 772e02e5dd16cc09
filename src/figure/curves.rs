//! Learning curves: the mean over seeds with its interval, one line per variant, against oracle and baseline.

use super::chart::{Panel, Stroke};
use super::curve_view::View;
use super::layout::{Figure, left_out};
use super::number::number;
use super::theme::{GRID, MODEL, variant};
use super::words::sentence_case;
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

/// More variants than this get a panel each.
const TOGETHER: usize = 8;

/// One evaluation of one variant, over its seeds.
pub(super) struct Summary {
    pub step: f64,
    pub mean: f64,
    pub interval: Option<(f64, f64)>,
}

/// Draws every curve's mean over seeds as a line and `interval` as a band: up to eight variants in one panel, more in a
/// panel each, with the others behind in grey. A curve that ends before others has a dot there, and a thin line to its
/// name. Notes name the values outside the vertical axis.
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
    let view = View::new(curves, &summaries, &[oracle, baseline]);
    let references = |panel: &mut Panel| {
        for (value, name, stroke) in [
            (baseline, "baseline", Stroke::baseline()),
            (oracle, "oracle", Stroke::oracle()),
        ] {
            if let Some(value) = value {
                view.reference(panel, value, name, stroke);
            }
        }
    };
    let figure = if curves.len() <= TOGETHER {
        let mut panel = Panel::new("", view.x.clone(), view.y());
        for (index, rows) in summaries.iter().enumerate() {
            if view.shows_end(rows) {
                panel.band(&band(rows), variant(index).0.alpha(0.18));
            }
        }
        references(&mut panel);
        for (index, (curve, rows)) in curves.iter().zip(&summaries).enumerate() {
            let (color, dash) = variant(index);
            view.draw(
                &mut panel,
                curve,
                rows,
                Stroke::solid(color).dash(dash),
                Some(title(curve)),
            );
        }
        if summaries
            .iter()
            .any(|rows| rows.last().is_some_and(|end| end.step < view.last))
        {
            notes.push("A dot marks the end of a training that ended before the others.".to_owned());
        }
        Figure::new(&labels.title, 1, vec![panel]).row_height(800.0)
    } else {
        let panels = curves.iter().zip(&summaries).map(|(curve, rows)| {
            let mut panel = Panel::new(title(curve), view.x.clone(), view.y());
            for other in &summaries {
                panel.line(&line(other), Stroke::solid(GRID).width(2.0));
            }
            for (value, stroke) in [(baseline, Stroke::baseline()), (oracle, Stroke::oracle())] {
                if let Some(value) = value.filter(|value| view.shows(*value)) {
                    panel.horizontal(value, stroke);
                }
            }
            if view.shows_end(rows) {
                panel.band(&band(rows), MODEL.alpha(0.25));
            }
            view.draw(&mut panel, curve, rows, Stroke::solid(MODEL), None);
            panel
        });
        for (value, name) in [(oracle, "oracle"), (baseline, "baseline")] {
            notes.extend(value.map(|value| {
                let line = match (view.shows(value), name) {
                    (false, _) => "outside the axis",
                    (true, "oracle") => "dashed line",
                    (true, _) => "dotted line",
                };
                format!("{}: {} ({line}).", sentence_case(name), number(value))
            }));
        }
        Figure::new(&labels.title, 3, panels.collect()).row_height(330.0)
    };
    notes.extend(view.left_out(curves, &summaries));
    match skipped.iter().sum() {
        0 => {}
        count => notes.push(left_out(count)),
    }
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

pub(super) fn line(rows: &[Summary]) -> Vec<(f64, f64)> {
    rows.iter().map(|row| (row.step, row.mean)).collect()
}

/// The rows that have an interval: (step, low, high).
fn band(rows: &[Summary]) -> Vec<(f64, f64, f64)> {
    rows.iter()
        .filter_map(|row| row.interval.map(|(low, high)| (row.step, low, high)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(name: &str, steps: usize, value: impl Fn(f64) -> f64) -> Curve {
        let steps: Vec<f64> = (0..steps).map(|step| step as f64).collect();
        Curve {
            name: name.into(),
            values: vec![steps.iter().map(|step| value(*step)).collect()],
            steps,
            failed: 0,
        }
    }

    /// The figure as SVG, and its notes.
    fn drawn(curves: &[Curve], oracle: Option<f64>) -> String {
        let interval = |_: &[f64]| None;
        let figure = learning_curves(curves, oracle, None, &interval, &Labels::default()).unwrap();
        figure.svg().unwrap()
    }

    #[test]
    fn a_far_beginning_is_cut_off_and_noted() {
        let beginning = "leaves out the beginning of one";
        let said = |value: fn(f64) -> f64| drawn(&[curve("one", 40, value)], None).contains(beginning);
        assert!(!said(|step| step));
        assert!(!said(|_| -641.6));
        // Too small a change for labels of seven digits: the axis shows all of it, and nothing is cut off.
        assert!(!said(|step| -641.6 - if step == 0.0 { 1e-5 } else { 0.0 }));
        assert!(said(|step| -641.6 - if step == 0.0 { 0.4 } else { 1e-9 * step }));
        assert!(said(|step| if step == 0.0 { -1e3 } else { step }));
    }

    /// Most variants converge early, within the first tenth of the longest curve, and lie below it.
    #[test]
    fn variants_that_end_early_are_all_on_the_axis() {
        let goals = [-1210.0, -1180.0, -1160.0, -1150.0, -1140.0, -1131.0, -1130.0];
        let curves: Vec<Curve> = goals
            .iter()
            .enumerate()
            .map(|(i, goal)| {
                let steps = if i < 5 { 10 } else { 200 };
                curve(&format!("k={i}"), steps, move |step| {
                    goal - 5000.0 * (-3.0 * step).exp()
                })
            })
            .collect();
        let (rows, _): (Vec<_>, Vec<_>) = curves.iter().map(|curve| summarise(curve, &|_| None)).unzip();
        let view = View::new(&curves, &rows, &[]);
        for goal in goals {
            assert!(view.shows(goal), "{goal}: {view:?}");
        }
        let svg = drawn(&curves, None);
        assert!(svg.contains("leaves out the beginning of 7 curves, which reaches to −6,210"));
        assert!(!svg.contains("outside the vertical axis"));
    }

    #[test]
    fn a_diverged_seed_is_named_at_the_edge_and_does_not_set_the_axis() {
        let mut curves: Vec<Curve> = (0..3)
            .map(|i| {
                curve(&format!("v{i}"), 40, move |step| {
                    0.1 * f64::from(i) - (-step / 5.0).exp()
                })
            })
            .collect();
        let diverged = curves[1].steps.iter().map(|step| -(10f64.powf(step / 1.3))).collect();
        let other = curves[1].values[0].clone();
        curves[1].values.extend([other, diverged]);
        let (rows, _): (Vec<_>, Vec<_>) = curves.iter().map(|curve| summarise(curve, &|_| None)).unzip();
        let view = View::new(&curves, &rows, &[Some(50.0)]);
        let y = view.limits.unwrap();
        assert!(y.0 > -3.0 && y.1 < 1.0, "{view:?}");
        let svg = drawn(&curves, Some(50.0));
        assert!(svg.contains("v1 ends at −"));
        assert!(svg.contains("↑ oracle 50") && svg.contains("↓ v1"));
    }
}
