//! Every run's estimates of the parameters, beside published ones.

use crate::figure::axis::Axis;
use crate::figure::chart::{Dot, Panel, Stroke};
use crate::figure::frame::Point;
use crate::figure::number::number;
use crate::figure::theme::{BASELINE, MODEL, OBSERVED};
use crate::figure::words::sentence_case;
use crate::runner::VariantSummary;
use crate::stats::{mean, standard_deviation};

/// Largest distance from the truth that is shown, in per cent of the truth.
pub(super) const REACH: f64 = 100.0;
/// Mean and standard deviation over 104 runs of Schön, Wills & Ninness (2011), from memory, of a, b, c, d.
const PUBLISHED: [(f64, f64); 4] = [(0.50, 0.002), (25.0, 1.0), (7.99, 0.13), (0.05, 0.003)];

/// Differences of every run's estimates from the truth in per cent, one row for each parameter, and the number of
/// estimates further off than [`REACH`].
pub(super) fn panel(variant: &VariantSummary, parameters: &[(&str, f64)]) -> (Panel, usize) {
    let scores = |name: &str| {
        variant
            .scores(&format!("parameter/{name}"))
            .into_values()
            .collect::<Vec<_>>()
    };
    // A true value of 0 has no percentages: the mean is written out.
    let label = |(name, truth): &(&str, f64)| match truth {
        0.0 => format!("{name} = 0, mean {}", number(mean(&scores(name)))),
        truth => format!("{name} = {truth}"),
    };
    let off = |name: &str, truth: f64| -> Vec<f64> {
        let relative = |value: f64| 100.0 * (value / truth - 1.0);
        scores(name)
            .into_iter()
            .filter(|_| truth != 0.0)
            .map(relative)
            .collect()
    };
    let all = parameters.iter().flat_map(|(name, truth)| off(name, *truth));
    let beyond = all.filter(|score| score.abs() > REACH).count();
    let mut panel = Panel::new(
        sentence_case(&variant.name),
        Axis::linear("estimate − truth (% of the truth)").limits(-REACH, REACH),
        Axis::names(parameters.iter().map(label).collect()),
    );
    for (row, (name, truth)) in parameters.iter().enumerate() {
        let row = row as f64;
        let scores = off(name, *truth);
        // Runs one below the other, so that equal estimates stay apart.
        let height = |i: usize| row - 0.16 + 0.32 * (i as f64 + 0.5) / scores.len() as f64;
        let dots: Vec<Point> = scores
            .iter()
            .enumerate()
            .map(|(i, score)| (*score, height(i)))
            .collect();
        panel.points(&dots, Dot::new(BASELINE.alpha(0.5)).radius(4.0));
        let mut bar = |mean: f64, deviation: f64, at: f64, color| {
            panel
                .line(&[(mean - deviation, at), (mean + deviation, at)], Stroke::solid(color))
                .points(&[(mean, at)], Dot::new(color).radius(8.0));
        };
        if let Some(deviation) = standard_deviation(&scores) {
            bar(mean(&scores), deviation, row + 0.28, MODEL);
        }
        if let Some((mean, deviation)) = PUBLISHED.get(row as usize) {
            bar(
                100.0 * (mean / truth - 1.0),
                100.0 * deviation / truth,
                row - 0.28,
                OBSERVED,
            );
        }
    }
    panel.line(&[(0.0, -0.5), (0.0, parameters.len() as f64 - 0.5)], Stroke::oracle());
    (panel, beyond)
}
