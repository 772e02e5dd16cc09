//! Posterior samples give unbiased estimates: the standard deviations of the expected log-likelihood with S samples per
//! datum and of its gradient fall as 1/√S, and the means differ from the exact values by no more than chance explains.

use super::unexpected;
use crate::Result;
use crate::figure::Anchor;
use crate::figure::axis::Axis;
use crate::figure::chart::{Dot, Panel, Stroke};
use crate::figure::experiment::interval;
use crate::figure::layout::Figure;
use crate::figure::theme::{BLACK, MODEL, QUIET};
use crate::figure::window::range;
use crate::posterior::sampled::Sampled;
use crate::runner::{Experiment, summarize};
use crate::stats::mean;
use std::collections::BTreeMap;

/// Without bias, 95 % of all biases over their standard errors lie within this.
const CHANCE: f64 = 1.96;

/// How far the axis of S reaches beyond the data, as a factor.
const ROOM: f64 = 1.4;

/// One metric of one seed at every number of samples: (S, value).
type Series = Vec<(f64, f64)>;

/// Draws the figure from finished runs.
pub fn draw(experiment: &Experiment) -> Result<Figure> {
    let summary = summarize(experiment)?;
    let mut samples = Vec::new();
    for variant in &experiment.loaded.variants {
        let Some(sampled) = variant.spec.posterior.get::<Sampled>() else {
            return Err(unexpected(
                "sampling",
                "`posterior.kind = \"sampled\"` in every variant",
            ));
        };
        samples.push(sampled.samples as f64);
    }
    let series = |metric: &str| -> Vec<Series> {
        let mut seeds: BTreeMap<u64, Series> = BTreeMap::new();
        for (variant, s) in summary.variants.iter().zip(&samples) {
            for (seed, value) in variant.scores(metric) {
                seeds.entry(seed).or_default().push((*s, value));
            }
        }
        seeds.into_values().collect()
    };
    let values = "standard deviation (nats per datum)";
    let gradients = "standard deviation (nats per unit of θ)";
    let panels = vec![
        spread("Spread of the estimate", values, &series("estimator/value_deviation")),
        spread(
            "Spread of its gradient",
            gradients,
            &series("estimator/gradient_deviation"),
        ),
        bias("Bias of the estimate", -CHANCE, &series("estimator/value_bias")),
        bias("Bias of its gradient", 0.0, &series("estimator/gradient_bias")),
    ];
    let repeats = experiment
        .loaded
        .variants
        .first()
        .map_or(0, |variant| variant.spec.evaluation.estimator_repeats);
    Ok(Figure::new(&summary.question, 2, panels)
        .caption(format!(
            "Expected log-likelihood of S posterior samples per datum at the parameters of {} seeds (a line or a dot each), \
             {repeats} estimates each. Dashed: the slope −½ of 1/√S. Grey: where chance alone leaves 95 % of the biases.",
            experiment.loaded.seeds.len(),
        ))
        .row_height(560.0))
}

/// Standard deviations of every seed against S, with a line of slope −½ and the fitted slope (mean over seeds).
fn spread(title: &str, label: &str, seeds: &[Series]) -> Panel {
    let slopes: Vec<f64> = seeds.iter().filter_map(|series| slope(series)).collect();
    let mut panel = Panel::new(title, samples_axis(seeds), Axis::log(label));
    for series in seeds {
        panel
            .line(series, Stroke::solid(MODEL.alpha(0.45)).width(2.5))
            .points(series, Dot::new(MODEL.alpha(0.7)).radius(5.0));
    }
    let all = || seeds.iter().flatten();
    let logs: Vec<f64> = all().map(|(s, deviation)| (deviation * s.sqrt()).ln()).collect();
    let level = mean(&logs).exp();
    if let Some((low, high)) = range(all().map(|(s, _)| *s)) {
        let line = [low, high].map(|s| (s, level / s.sqrt()));
        panel.named_line("1/√S", &line, Stroke::oracle());
    }
    if let (Some((low, high)), Some(place)) = (
        interval(&slopes),
        all().copied().reduce(|a, b| (a.0.max(b.0), a.1.max(b.1))),
    ) {
        let [slope, low, high] = [mean(&slopes), low, high].map(|value| format!("{value:.3}").replace('-', "−"));
        panel.text(place, format!("slope {slope} [{low}, {high}]"), Anchor::End, BLACK);
    }
    panel
}

/// Biases of every seed in standard errors against S, over the region of 95 % of unbiased estimates.
fn bias(title: &str, low: f64, seeds: &[Series]) -> Panel {
    let all: Vec<(f64, f64)> = seeds.iter().flatten().copied().collect();
    let outside = all.iter().filter(|(_, bias)| bias.abs() > CHANCE).count();
    let title = format!("{title}: {outside} of {} outside 95 %", all.len());
    let reach = all.iter().map(|(_, bias)| bias.abs()).fold(1.5 * CHANCE, f64::max);
    let signed = low < 0.0;
    let (label, bottom) = match signed {
        true => ("bias (standard errors)", -reach),
        false => ("size of the bias (standard errors)", 0.0),
    };
    let mut panel = Panel::new(
        title,
        samples_axis(seeds),
        Axis::linear(label).limits(1.06 * bottom, 1.06 * reach),
    );
    if let Some((from, to)) = range(all.iter().map(|(s, _)| *s)) {
        panel.rectangle((from / ROOM, low), (to * ROOM, CHANCE), QUIET.alpha(0.15));
    }
    // A size is never 0 by chance: its mean square is 1.
    let (chance, name) = if signed { (0.0, "unbiased") } else { (1.0, "by chance") };
    panel
        .horizontal(chance, Stroke::baseline())
        .end_label(chance, name, QUIET)
        .end_label(CHANCE, "95 %", QUIET);
    // Seeds side by side.
    for (number, series) in seeds.iter().enumerate() {
        let shift = (0.05 * (number as f64 - 0.5 * (seeds.len() - 1) as f64)).exp();
        let points: Vec<_> = series.iter().map(|(s, bias)| (s * shift, *bias)).collect();
        panel.points(&points, Dot::new(MODEL.alpha(0.7)).radius(5.5));
    }
    panel
}

fn samples_axis(seeds: &[Series]) -> Axis {
    let axis = Axis::log("posterior samples per datum, S");
    match range(seeds.iter().flatten().map(|(s, _)| *s)) {
        Some((from, to)) => axis.limits(from / ROOM, to * ROOM),
        None => axis,
    }
}

/// The slope of log y on log x by least squares; none for fewer than two different x.
fn slope(series: &[(f64, f64)]) -> Option<f64> {
    let logs: Vec<(f64, f64)> = series.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let n = logs.len() as f64;
    let (x, y) = logs
        .iter()
        .fold((0.0, 0.0), |sum, p| (sum.0 + p.0 / n, sum.1 + p.1 / n));
    let across: f64 = logs.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    let along: f64 = logs.iter().map(|p| (p.0 - x).powi(2)).sum();
    (along > 0.0).then(|| across / along)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_of_powers_are_their_exponents() {
        let power =
            |exponent: f64| -> Series { [1.0, 2.0, 7.0, 90.0].map(|x: f64| (x, 3.0 * x.powf(exponent))).to_vec() };
        for exponent in [-0.5, 0.0, 2.0] {
            assert!((slope(&power(exponent)).unwrap() - exponent).abs() < 1e-12);
        }
        assert_eq!(slope(&[(4.0, 1.0)]), None);
        assert_eq!(slope(&[]), None);
    }
}
