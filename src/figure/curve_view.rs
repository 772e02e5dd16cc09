//! The range of learning curves that the axes show, and notes on the rest.
//!
//! The vertical axis shows every curve from its own first tenth to its end, unless the end is far from all others. It
//! may leave out beginnings, and curves that diverge.

use super::axis::{Axis, NARROWEST};
use super::chart::{Dot, Panel, Stroke};
use super::curves::{Curve, Summary, line};
use super::number::number;
use super::window::{fenced, range};

/// Share of a curve's steps that counts as its beginning, which need not fit on the axis.
const BEGINNING: f64 = 0.1;
/// An axis is cut only if all of the curves would make it longer than this many times.
const WORTH_CUTTING: f64 = 3.0;
/// Ends further from the quartiles of all ends than this many times their distance are far.
const FENCE: f64 = 8.0;
/// How far beyond the curves, as a share of their range, a reference still counts as near.
const NEAR: f64 = 0.5;
/// Smallest height of the axis, for nearly constant curves, in multiples of the narrowest range.
const WIDTHS: f64 = 20.0;

/// The axes of learning curves.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// The horizontal axis.
    pub x: Axis,
    /// Limits of the vertical axis; none if there is nothing to show.
    pub limits: Option<(f64, f64)>,
    /// The last step of any curve.
    pub last: f64,
}

impl View {
    /// The axes for curves, each with its rows, and for the references that are near.
    pub fn new(curves: &[Curve], summaries: &[Vec<Summary>], references: &[Option<f64>]) -> Self {
        let steps = range(summaries.iter().flatten().map(|row| row.step));
        let mut x = Axis::linear("");
        if let Some((first, last)) = steps.filter(|(first, last)| first < last) {
            x = x.limits(first, last);
        }
        let last = steps.map_or(0.0, |(_, last)| last);
        let limits = limits(curves, summaries).map(|(low, high)| {
            let reach = NEAR * (high - low);
            let near = |value: &f64| (low - reach..=high + reach).contains(value);
            let near = references.iter().flatten().copied().filter(near);
            let (low, high) = range(near.chain([low, high])).unwrap_or((low, high));
            let room = 0.05 * (high - low);
            (low - room, high + room)
        });
        Self { x, limits, last }
    }

    /// The vertical axis.
    pub fn y(&self) -> Axis {
        match self.limits {
            Some((low, high)) => Axis::linear("").limits(low, high),
            None => Axis::linear(""),
        }
    }

    /// Whether the vertical axis reaches to `value`.
    pub fn shows(&self, value: f64) -> bool {
        self.limits.is_none_or(|(low, high)| (low..=high).contains(&value))
    }

    /// Whether the mean of a curve ends within the vertical axis.
    pub fn shows_end(&self, rows: &[Summary]) -> bool {
        rows.last().is_some_and(|end| self.shows(end.mean))
    }

    /// The nearest place on the vertical axis, and an arrow to what lies beyond it.
    fn edge(&self, value: f64) -> (f64, &'static str) {
        match self.limits {
            Some((low, _)) if value < low => (low, "↓ "),
            Some((_, high)) if value > high => (high, "↑ "),
            _ => (value, ""),
        }
    }

    /// A horizontal line with its name; where the axis does not reach it, its name at the edge with an arrow.
    pub fn reference(&self, panel: &mut Panel, value: f64, name: &str, stroke: Stroke) {
        if !value.is_finite() {
            return;
        }
        if self.shows(value) {
            panel.horizontal(value, stroke);
        }
        let (y, arrow) = self.edge(value);
        panel.line_label(y, format!("{arrow}{name} {}", number(value)), stroke);
    }

    /// The mean of a curve, with its name at its end if it has one. If a curve ends outside the axis, its seeds are
    /// drawn as thin lines as well.
    pub fn draw(&self, panel: &mut Panel, curve: &Curve, rows: &[Summary], stroke: Stroke, name: Option<String>) {
        panel.line(&line(rows), stroke);
        let Some(end) = rows.last() else { return };
        let (y, arrow) = self.edge(end.mean);
        if !self.shows(end.mean) {
            for seed in curve.values.iter().filter(|_| curve.values.len() > 1) {
                let seed: Vec<_> = curve.steps.iter().copied().zip(seed.iter().copied()).collect();
                panel.line(&seed, Stroke::solid(stroke.color.alpha(0.5)).width(1.5));
            }
        } else if end.step < self.last {
            let held = Stroke::solid(stroke.color.alpha(0.5)).width(1.5).dash(stroke.dash);
            panel
                .line(&[(end.step, end.mean), (self.last, end.mean)], held)
                .points(&[(end.step, end.mean)], Dot::new(stroke.color).radius(7.0));
        }
        if let Some(name) = name {
            panel.line_label(y, format!("{arrow}{name}"), stroke);
        }
    }

    /// Notes on the values that the vertical axis leaves out.
    pub fn left_out(&self, curves: &[Curve], summaries: &[Vec<Summary>]) -> Vec<String> {
        let mut notes = Vec::new();
        let mut beginnings: Vec<(&str, f64)> = Vec::new();
        for (curve, rows) in curves.iter().zip(summaries) {
            let Some(end) = rows.last() else { continue };
            let outside = |row: &&Summary| !self.shows(row.mean);
            let furthest = |rows: &mut dyn Iterator<Item = &Summary>| {
                let beyond = |value: f64| self.limits.map_or(0.0, |(low, high)| (low - value).max(value - high));
                rows.map(|row| row.mean)
                    .max_by(|a, b| beyond(*a).total_cmp(&beyond(*b)))
                    .unwrap_or(end.mean)
            };
            if outside(&end) {
                let seeds = if curve.values.len() > 1 {
                    "; thin lines are its seeds"
                } else {
                    ""
                };
                notes.push(format!(
                    "{} ends at {}, outside the vertical axis{seeds}.",
                    curve.name,
                    number(end.mean)
                ));
                continue;
            }
            let begins = rows.iter().take_while(outside).count();
            let left = rows.iter().filter(outside).count();
            if left > begins {
                let reach = furthest(&mut rows[begins..].iter().filter(outside));
                notes.push(format!(
                    "{} leaves the vertical axis on its way, to {}.",
                    curve.name,
                    number(reach)
                ));
            }
            if begins > 0 {
                beginnings.push((&curve.name, furthest(&mut rows[..begins].iter())));
            }
        }
        let beyond = |value: f64| self.limits.map_or(0.0, |(low, high)| (low - value).max(value - high));
        let furthest = beginnings.iter().max_by(|a, b| beyond(a.1).total_cmp(&beyond(b.1)));
        if let Some((name, reach)) = furthest {
            let whose = match beginnings.len() {
                1 => (*name).to_owned(),
                several => format!("{several} curves"),
            };
            notes.push(format!(
                "The vertical axis leaves out the beginning of {whose}, which reaches to {}.",
                number(*reach)
            ));
        }
        notes
    }
}

/// The range of the curves that the vertical axis shows.
fn limits(curves: &[Curve], summaries: &[Vec<Summary>]) -> Option<(f64, f64)> {
    let ends = |row: &Summary| {
        let (low, high) = row.interval.unwrap_or((row.mean, row.mean));
        [row.mean, low, high]
    };
    let means = summaries.iter().filter_map(|rows| rows.last()).map(|row| row.mean);
    let seeds = curves.iter().flat_map(|curve| &curve.values);
    let seeds = seeds.filter_map(|seed| seed.iter().rfind(|value| value.is_finite()).copied());
    let finals = fenced(&means.chain(seeds).collect::<Vec<_>>(), FENCE)?;
    let mut late = vec![finals.0, finals.1];
    for rows in summaries {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            continue;
        };
        if !(finals.0..=finals.1).contains(&last.mean) {
            continue;
        }
        let beginning = first.step + BEGINNING * (last.step - first.step);
        let own: Vec<f64> = rows.iter().filter(|row| row.step > beginning).flat_map(ends).collect();
        // A short excursion on the way does not set the axis either.
        late.extend(fenced(&own, FENCE).into_iter().flat_map(|(low, high)| [low, high]));
    }
    let (from, to) = range(late)?;
    // The axis has at least this height if the curves are nearly constant.
    let least = WIDTHS * NARROWEST * from.abs().max(to.abs());
    let still = 0.5 * (least - (to - from)).max(0.0);
    let (from, to) = (from - still, to + still);
    let (low, high) = range(summaries.iter().flatten().map(|row| row.mean))?;
    let whole = (low.min(from), high.max(to));
    match to <= from || whole.1 - whole.0 <= WORTH_CUTTING * (to - from) {
        true => range(
            [whole.0, whole.1]
                .into_iter()
                .chain(summaries.iter().flatten().flat_map(ends)),
        )
        .filter(|(low, high)| high - low <= 2.0 * (whole.1 - whole.0))
        .or(Some(whole)),
        false => Some((from, to)),
    }
}
