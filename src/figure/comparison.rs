//! Comparison of variants: one row each. The left panel shows every seed's score, the mean, and its interval; the right one
//! the paired differences from the reference, seed by seed, with their mean and interval, around a line at zero.
//!
//! The variants alone set the axes. A distant oracle, baseline or diverged seed is named at the edge, so that it does
//! not compress the differences.

use super::axis::Axis;
use super::chart::{Dot, Panel, Stroke};
use super::layout::Figure;
use super::number::{fixed, number};
use super::sheet::Anchor;
use super::theme::{BLACK, FAILED, MODEL, QUIET};
use super::window::Window;
use crate::{Error, Result};

/// Values by seed.
pub type BySeed = Vec<(u64, f64)>;

/// The final scores of one variant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// The variant.
    pub name: String,
    /// The score of every finished seed that has one.
    pub scores: BySeed,
    /// Seeds that finished, with or without a score.
    pub finished: usize,
    /// Seeds that failed.
    pub failed: usize,
    /// The mean of the scores.
    pub mean: Option<f64>,
    /// Its interval.
    pub interval: Option<(f64, f64)>,
    /// Its difference from the reference; none for the reference itself, or where no seed has both.
    pub difference: Option<Difference>,
}

/// A variant's score less that of the reference, paired by seed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Difference {
    /// The reference.
    pub against: String,
    /// The difference of every seed that has both scores.
    pub values: BySeed,
    /// Their mean.
    pub mean: f64,
    /// Its interval.
    pub interval: Option<(f64, f64)>,
}

/// The content of a comparison.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// The question.
    pub title: String,
    /// What to see.
    pub caption: String,
    /// The metric in words, with unit and direction.
    pub quantity: String,
    /// Its unit; may be empty.
    pub unit: String,
    /// Whether larger scores are better, where either is.
    pub larger_is_better: Option<bool>,
    /// The best value that any model can expect, where it is known.
    pub oracle: Option<f64>,
    /// The baseline's value.
    pub baseline: Option<f64>,
    /// The variants, from the top.
    pub rows: Vec<Row>,
}

/// Height of a row, pixels: two lines of numbers; and of the space for titles and axes.
const ROW: f64 = 76.0;
const AROUND: f64 = 210.0;
/// Values that differ by less than this share of their size count as equal, up to rounding.
const ROUNDING: f64 = 1e-9;

impl Comparison {
    /// Draws the comparison.
    ///
    /// # Errors
    /// If there is no row.
    pub fn draw(&self) -> Result<Figure> {
        if self.rows.is_empty() {
            return Err(Error::Data(format!(
                "no variant to compare for \"{}\": expected at least one row",
                self.title
            )));
        }
        let mut panels = vec![self.scores()];
        let differences = self.rows.iter().any(|row| row.difference.is_some());
        if differences {
            panels.push(self.differences());
        }
        let tallest = panels.iter().flat_map(Panel::lines_of_rows).max().unwrap_or(2).max(2);
        let row = ROW + 30.0 * (tallest - 2) as f64;
        let mut figure = Figure::new(&self.title, 2, panels)
            .caption(&self.caption)
            .row_height(AROUND + row * self.rows.len() as f64)
            .fixed_rows();
        if differences {
            figure = figure.shares(&[0.58, 0.42]);
        }
        Ok(figure)
    }

    /// The panel of scores.
    fn scores(&self) -> Panel {
        let values = self
            .rows
            .iter()
            .flat_map(|row| spread(&row.scores, row.mean, row.interval));
        let references: Vec<f64> = self.oracle.into_iter().chain(self.baseline).collect();
        let errors = self.larger_is_better == Some(false);
        let window = Window::new(&values.collect::<Vec<_>>(), &references, errors);
        let names = self.rows.iter().map(|row| row.name.clone()).collect();
        let mut panel = Panel::new("", axis(&self.quantity, window), Axis::names(names));
        for (value, name, stroke) in [
            (self.baseline, "baseline", Stroke::baseline()),
            (self.oracle, "oracle", Stroke::oracle()),
        ] {
            if let Some(value) = value {
                reference(&mut panel, value, name, stroke, window);
            }
        }
        let decimals = decimals(self.rows.iter().map(|row| (row.mean, row.interval)));
        for (index, row) in self.rows.iter().enumerate() {
            let (text, color) = row.in_words(decimals);
            panel.end_label(index as f64, text, color);
            draw_row(&mut panel, index, &row.scores, row.mean, row.interval, window);
        }
        panel
    }

    /// The panel of differences.
    fn differences(&self) -> Panel {
        let differences = || self.rows.iter().filter_map(|row| row.difference.as_ref());
        let values: Vec<f64> = differences()
            .flat_map(|difference| spread(&difference.values, Some(difference.mean), difference.interval))
            .collect();
        let window = Window::new(&values, &[], false).map(|window| window.reaching(0.0));
        let mut against: Vec<&str> = differences().map(|difference| difference.against.as_str()).collect();
        against.dedup();
        let title = match against[..] {
            [one] => format!("Paired difference from “{one}”"),
            _ => "Paired difference from the reference with the same settings".to_owned(),
        };
        let unit = match self.unit.as_str() {
            "" => "difference".to_owned(),
            unit => format!("difference ({unit})"),
        };
        let label = match self.larger_is_better {
            Some(true) => format!("{unit}: better →"),
            Some(false) => format!("← better: {unit}"),
            None => unit,
        };
        let names = self.rows.iter().map(|row| row.name.clone()).collect();
        let mut panel = Panel::new(title, axis(&label, window), Axis::names(names)).share_names();
        panel.vertical_line(0.0, "no difference", Stroke::solid(QUIET).width(2.0));
        let decimals = decimals(differences().map(|difference| (Some(difference.mean), difference.interval)));
        for (index, row) in self.rows.iter().enumerate() {
            let Some(difference) = &row.difference else {
                let reference = against.contains(&row.name.as_str());
                let text = if reference { "reference" } else { "no pair of seeds" };
                panel.end_label(index as f64, text, QUIET);
                continue;
            };
            let mut text = difference.in_words(decimals);
            if against.len() > 1 {
                text += &format!("\nfrom {}", difference.against);
            }
            panel.end_label(index as f64, text, QUIET);
            let Difference {
                values, mean, interval, ..
            } = difference;
            draw_row(&mut panel, index, values, Some(*mean), *interval, window);
        }
        panel
    }
}

impl Row {
    /// Mean and interval, then notes on the seeds on separate lines; with the colour of the text.
    fn in_words(&self, decimals: usize) -> (String, crate::figure::theme::Color) {
        let color = if self.failed > 0 { FAILED } else { QUIET };
        let seeds = self.finished + self.failed;
        let failures = match self.failed {
            0 => String::new(),
            failed if failed == seeds => return (format!("all {seeds} seeds failed"), FAILED),
            failed => format!("\n{failed} of {seeds} seeds failed"),
        };
        let Some(mean) = self.mean.filter(|mean| mean.is_finite()) else {
            let text = if self.finished == 0 {
                "no finished run"
            } else {
                "not measured"
            };
            return (format!("{text}{failures}"), color);
        };
        let interval = self.interval.filter(|_| !same(&self.scores));
        (
            format!("{}{failures}", value(mean, interval, &self.scores, decimals)),
            color,
        )
    }
}

impl Difference {
    fn in_words(&self, decimals: usize) -> String {
        let interval = self.interval.filter(|_| !same(&self.values));
        value(self.mean, interval, &self.values, decimals)
    }
}

/// A mean with its interval, or with the reason why it has none, in two lines.
fn value(mean: f64, interval: Option<(f64, f64)>, values: &BySeed, decimals: usize) -> String {
    // A mean that would have fewer than two digits gets more decimals.
    let decimals = match mean.abs() * 10f64.powi(decimals as i32) < 10.0 {
        true => decimals.max(self::decimals(std::iter::once((Some(mean), interval)))),
        false => decimals,
    };
    let large = mean.abs() >= 1e4 || interval.is_some_and(|(low, high)| low.abs().max(high.abs()) >= 1e4);
    let text = |value: f64| if large { number(value) } else { fixed(value, decimals) };
    let mean = text(mean);
    match (interval, values.len()) {
        (Some((low, high)), _) => format!("{mean}\n[{}, {}]", text(low), text(high)),
        (None, 1) => format!("{mean}\none seed"),
        (None, n) if same(values) => format!("{mean}\nsame in all {n}"),
        (None, n) => format!("{mean}\n{n} seeds"),
    }
}

/// Whether two or more values are the same up to rounding.
fn same(values: &BySeed) -> bool {
    let largest = values.iter().map(|(_, value)| value.abs()).fold(0.0, f64::max);
    values.len() > 1
        && values
            .iter()
            .all(|(_, v)| (v - values[0].1).abs() <= ROUNDING * largest)
}

/// Every number that a row draws.
fn spread(values: &BySeed, mean: Option<f64>, interval: Option<(f64, f64)>) -> Vec<f64> {
    let ends = interval.into_iter().flat_map(|(low, high)| [low, high]);
    values.iter().map(|(_, value)| *value).chain(mean).chain(ends).collect()
}

fn axis(label: &str, window: Option<Window>) -> Axis {
    match window {
        Some(Window { low, high, log: true }) => Axis::log(label).limits(low, high),
        Some(Window { low, high, log: false }) => Axis::linear(label).limits(low, high),
        None => Axis::linear(label),
    }
}

/// A vertical line at the value; where the axis does not reach it, its name at the edge with an arrow.
fn reference(panel: &mut Panel, value: f64, name: &str, stroke: Stroke, window: Option<Window>) {
    match window {
        Some(window) if value < window.low => {
            panel.vertical_line(window.low, format!("← {name} {}", number(value)), stroke.invisible())
        }
        Some(window) if value > window.high => {
            panel.vertical_line(window.high, format!("{name} {} →", number(value)), stroke.invisible())
        }
        _ => panel.vertical_reference(value, name, stroke),
    };
}

/// The dots of the seeds, below the mean and its interval, so that neither hides the other. Values outside the axis are
/// marked at its edge: the mean by an arrow, with its value beside the row, and seeds by their value.
fn draw_row(
    panel: &mut Panel,
    index: usize,
    values: &BySeed,
    mean: Option<f64>,
    interval: Option<(f64, f64)>,
    window: Option<Window>,
) {
    let (estimate, seeds, beyond) = (index as f64 - 0.12, index as f64 + 0.2, index as f64 + 0.44);
    let inside = |value: f64| window.is_none_or(|window| window.contains(value));
    let dots: Vec<_> = values
        .iter()
        .filter(|(_, value)| inside(*value))
        .map(|(_, value)| (*value, seeds))
        .collect();
    panel.points(&dots, Dot::new(BLACK.alpha(0.28)).radius(5.5));
    if let Some(window) = window {
        let below: BySeed = values
            .iter()
            .copied()
            .filter(|(_, value)| *value < window.low)
            .collect();
        let above: BySeed = values
            .iter()
            .copied()
            .filter(|(_, value)| *value > window.high)
            .collect();
        let furthest = |values: &BySeed, largest: bool| {
            let ends = values.iter().map(|(_, value)| *value);
            number(if largest {
                ends.fold(f64::MIN, f64::max)
            } else {
                ends.fold(f64::MAX, f64::min)
            })
        };
        let at_edge = |values: &BySeed, largest: bool| match values[..] {
            [(seed, value)] => format!("seed {seed}: {}", number(value)),
            _ => format!("{} seeds, to {}", values.len(), furthest(values, largest)),
        };
        if !below.is_empty() {
            panel.text(
                (window.low, beyond),
                format!("← {}", at_edge(&below, false)),
                Anchor::Start,
                FAILED,
            );
        }
        if !above.is_empty() {
            panel.text(
                (window.high, beyond),
                format!("{} →", at_edge(&above, true)),
                Anchor::End,
                FAILED,
            );
        }
    }
    let Some(mean) = mean.filter(|mean| mean.is_finite()) else {
        return;
    };
    if let Some((low, high)) = interval.filter(|_| !same(values)) {
        panel.line(&[(low, estimate), (high, estimate)], Stroke::solid(MODEL).width(6.0));
    }
    match window {
        Some(window) if mean < window.low => panel.arrow(
            (window.at(0.05), estimate),
            (window.low, estimate),
            Stroke::solid(MODEL),
        ),
        Some(window) if mean > window.high => panel.arrow(
            (window.at(0.95), estimate),
            (window.high, estimate),
            Stroke::solid(MODEL),
        ),
        _ => panel.points(&[(mean, estimate)], Dot::new(MODEL).radius(9.5)),
    };
}

/// Decimals that show two digits of the typical interval, or four digits of the means where there is none; no more than four
/// unless the means are small, so that an interval stays in one line.
fn decimals(rows: impl Iterator<Item = (Option<f64>, Option<(f64, f64)>)>) -> usize {
    let middle = |mut values: Vec<f64>| -> Option<f64> {
        values.retain(|value| value.is_finite() && *value > 0.0);
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    let (means, intervals): (Vec<_>, Vec<_>) = rows.unzip();
    let half_widths = intervals.into_iter().flatten().map(|(low, high)| 0.5 * (high - low));
    let size = middle(means.into_iter().flatten().map(f64::abs).collect());
    let resolution = middle(half_widths.collect())
        .map(|width| width / 10.0)
        .or(size.map(|size| size / 1e3));
    let most = size.map_or(8.0, |size| (1.0 - size.log10().floor()).clamp(4.0, 8.0));
    (-resolution.unwrap_or(0.01).log10().floor()).clamp(0.0, most) as usize
}
