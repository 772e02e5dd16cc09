//! Learning curves in a panel of a lecture figure: the mean over seeds with its 95 % interval.

use crate::figure::chart::{Panel, Stroke};
use crate::figure::curves::Curve;
use crate::figure::experiment::interval;
use crate::stats::mean;

/// Draws every curve in its style, with its name at its end.
pub(super) fn named_curves(panel: &mut Panel, curves: &[Curve], looks: &[Stroke]) {
    for (curve, look) in curves.iter().zip(looks) {
        let at = |step: usize| -> Vec<f64> { curve.values.iter().map(|seed| seed[step]).collect() };
        let rows: Vec<(f64, Vec<f64>)> = curve.steps.iter().enumerate().map(|(i, step)| (*step, at(i))).collect();
        let band: Vec<_> = rows
            .iter()
            .filter_map(|(step, values)| interval(values).map(|(low, high)| (*step, low, high)))
            .collect();
        let line: Vec<_> = rows.iter().map(|(step, values)| (*step, mean(values))).collect();
        panel
            .band(&band, look.color.alpha(0.15))
            .named_line(&curve.name, &line, *look);
    }
}
