//! The two figures that every experiment gets: its comparison and its learning curves.

use super::comparison::{Comparison, Difference, Row};
use super::curves::{Curve, Labels, learning_curves};
use super::layout::Figure;
use super::theme::Page;
use super::words::{quantity, quantity_and_direction, sentence_case, title};
use crate::Result;
use crate::record::MetricsLine;
use crate::runner::{Experiment, MetricDocument, Summary, VariantSummary, agreed};
use crate::spec::Spec;
use crate::stats::{LEVEL, mean_interval};
use crate::train::metrics::find;
use std::path::{Path, PathBuf};

/// The interval that tables and figures give.
const INTERVAL: &str = "95 % Student t interval";

/// Draws `comparison` and, where there is a curve to show, `learning_curves` into `folder`; returns the files.
pub fn write(summary: &Summary, experiment: &Experiment, folder: &Path, page: Page) -> Result<Vec<PathBuf>> {
    let comparison = || comparison(summary).draw()?.page(page).write(&folder.join("comparison"));
    let curves = || match curves_of(summary, experiment)? {
        Some(figure) => figure.page(page).write(&folder.join("learning_curves")),
        None => Ok(Vec::new()),
    };
    let (comparison, curves) = rayon::join(comparison, curves);
    Ok(comparison?.into_iter().chain(curves?).collect())
}

/// The comparison of a summary's variants.
fn comparison(summary: &Summary) -> Comparison {
    let metric = &summary.metric;
    let rows: Vec<Row> = summary.variants.iter().map(|variant| row(variant, summary)).collect();
    let several = rows.iter().any(|row| row.interval.is_some());
    let mean = match several {
        true => format!("Points and bars: mean over seeds with {INTERVAL}. Small dots: every seed."),
        false => "Points: mean over seeds. Small dots: every seed.".to_owned(),
    };
    Comparison {
        title: summary.question.clone(),
        caption: format!("{}. {mean}", sentence_case(&quantity_and_direction(metric))),
        quantity: quantity(&metric.name),
        unit: metric.unit.clone(),
        larger_is_better: metric.larger_is_better,
        oracle: summary.oracle,
        baseline: summary.baseline,
        rows,
    }
}

fn row(variant: &VariantSummary, summary: &Summary) -> Row {
    let metric = &summary.metric.name;
    let statistics = variant.summary.get(metric);
    let scores = variant.scores(metric);
    let difference = summary
        .differences
        .iter()
        .find(|difference| difference.variant == variant.name);
    let difference = difference.and_then(|difference| {
        let reference = summary.variants.iter().find(|other| other.name == difference.against)?;
        let theirs = reference.scores(metric);
        let values = scores
            .iter()
            .filter_map(|(seed, score)| Some((*seed, score - theirs.get(seed)?)));
        Some(Difference {
            against: difference.against.clone(),
            values: values.collect(),
            mean: difference.difference.mean,
            interval: difference
                .difference
                .interval
                .map(|interval| summary.metric.clip_difference(interval.bounds())),
        })
    });
    Row {
        name: variant.name.clone(),
        scores: scores.into_iter().collect(),
        finished: variant.seeds.iter().filter(|seed| seed.status == "done").count(),
        failed: variant.failed(),
        mean: statistics.and_then(|statistics| statistics.mean),
        interval: bounds(variant, metric),
        difference,
    }
}

/// The metric whose curve is drawn: the experiment's own if it is measured along the way, else the return of rounds, else a
/// likelihood.
fn metric_of_curves(summary: &Summary) -> Option<&str> {
    let measured_along = |name: &str| {
        let lines = summary
            .variants
            .iter()
            .flat_map(|variant| &variant.seeds)
            .flat_map(|seed| &seed.curve);
        lines.filter(|line| line.values.contains_key(name)).count() > 1
    };
    [summary.metric.name.as_str(), ROUNDS]
        .into_iter()
        .chain(LIKELIHOODS)
        .find(|name| measured_along(name))
}

/// The return of rounds of collection.
const ROUNDS: &str = "control/round_return";

/// Log-likelihoods, the most precise first: exact, on a grid, estimated, and bounded from below.
const LIKELIHOODS: [&str; 8] = [
    "test/log_likelihood",
    "test/log_likelihood_grid",
    "test/log_likelihood_estimate",
    "test/log_likelihood_bound",
    "train/log_likelihood",
    "train/log_likelihood_grid",
    "train/log_likelihood_estimate",
    "train/log_likelihood_bound",
];

/// The name of the log-likelihood that the runs of `variants` report, the most precise one.
pub(super) fn likelihood<'a>(variants: impl IntoIterator<Item = &'a VariantSummary> + Clone) -> &'static str {
    let measured = |name: &&str| {
        let mut variants = variants.clone().into_iter();
        variants.any(|variant| variant.summary.contains_key(*name))
    };
    LIKELIHOODS.into_iter().find(measured).unwrap_or(LIKELIHOODS[0])
}

/// The learning curves, where there is a curve to show.
fn curves_of(summary: &Summary, experiment: &Experiment) -> Result<Option<Figure>> {
    let metric = &summary.metric;
    let Some(name) = metric_of_curves(summary) else {
        return Ok(None);
    };
    let spec = |variant: &VariantSummary| {
        let same = experiment
            .loaded
            .variants
            .iter()
            .find(|other| other.name == variant.name);
        same.map(|variant| &variant.spec)
    };
    // A model trained by the mean squared error has no meaningful density: its noise is not learnt.
    let without_density = |variant: &&VariantSummary| {
        let squared = |spec: &Spec| spec.objective.unit() != "nats";
        name.contains("log_likelihood") && spec(variant).is_some_and(squared)
    };
    let (omitted, shown): (Vec<_>, Vec<_>) = summary.variants.iter().partition(without_density);
    let curves: Vec<Curve> = shown.iter().map(|variant| curve(variant, name)).collect();
    // Two evaluations are not enough for a curve.
    if curves.iter().all(|curve| curve.steps.len() < 3) {
        return Ok(None);
    }
    let (oracle, baseline) = match name == metric.name {
        true => (summary.oracle, summary.baseline),
        false => (agreed(&summary.variants, "test/oracle"), None),
    };
    let mut caption = match name == metric.name {
        true => String::new(),
        false => format!(
            "{} is measured once, after training; these curves show another metric. ",
            sentence_case(&title(&metric.name))
        ),
    };
    let document = find(name).map(MetricDocument::from);
    let words = document.as_ref().map_or_else(|| title(name), quantity_and_direction);
    caption += &sentence_case(&words);
    caption += &match curves.iter().map(|curve| curve.values.len()).max() {
        Some(seeds @ 3..) => format!(": mean over {seeds} seeds with {INTERVAL}."),
        Some(2) => ": mean over 2 seeds.".to_owned(),
        _ => ": one seed.".to_owned(),
    };
    let labels = Labels {
        title: summary.question.clone(),
        caption,
        x: steps(shown.iter().filter_map(|variant| spec(variant))).to_owned(),
        y: quantity(name),
    };
    let shown = |values: &[f64]| {
        let clip = |interval| document.as_ref().map_or(interval, |document| document.clip(interval));
        interval(values).map(clip)
    };
    let mut figure = learning_curves(&curves, oracle, baseline, &shown, &labels)?;
    if !omitted.is_empty() {
        let names: Vec<&str> = omitted.iter().map(|variant| variant.name.as_str()).collect();
        figure = figure.note(format!(
            "Left out, since training by the mean squared error learns no density: {}.",
            names.join(", ")
        ));
    }
    Ok(Some(figure))
}

/// The unit that the optimizers of `specs` count.
fn steps<'a>(specs: impl Iterator<Item = &'a Spec>) -> &'static str {
    let units: Vec<&str> = specs.map(|spec| spec.training.unit()).collect();
    match (units.contains(&"sweeps"), units.contains(&"steps")) {
        (true, true) => "steps (EM: sweeps)",
        (true, false) => "sweeps",
        _ => "steps",
    }
}

/// The curve of one variant over the steps that all of its finished seeds have; a seed that converged early keeps its
/// last value.
pub(super) fn curve(variant: &VariantSummary, metric: &str) -> Curve {
    let done: Vec<_> = variant.seeds.iter().filter(|seed| !seed.curve.is_empty()).collect();
    // Rounds of collection have lines of their own.
    let is_of_another = |line: &MetricsLine| {
        let has = |name: &str| line.values.contains_key(name);
        !has(metric) && (metric == ROUNDS || has(ROUNDS))
    };
    let mut steps: Vec<u64> = done
        .iter()
        .flat_map(|seed| seed.curve.iter().filter(|line| !is_of_another(line)))
        .map(|line| line.step)
        .collect();
    steps.sort_unstable();
    steps.dedup();
    let values = done.iter().map(|seed| {
        let at = |step: &u64| {
            let line = seed
                .curve
                .iter()
                .rev()
                .find(|line| line.step <= *step)
                .or(seed.curve.first());
            line.and_then(|line| line.values.get(metric))
                .copied()
                .unwrap_or(f64::NAN)
        };
        steps.iter().map(at).collect()
    });
    Curve {
        name: variant.name.clone(),
        values: values.collect(),
        steps: steps.iter().map(|step| *step as f64).collect(),
        failed: variant.failed(),
    }
}

/// The ends of the interval of a variant's mean, as tables show them.
pub(super) fn bounds(variant: &VariantSummary, metric: &str) -> Option<(f64, f64)> {
    let bounds = variant.summary.get(metric)?.bounds()?;
    Some(find(metric).map_or(bounds, |metric| MetricDocument::from(metric).clip(bounds)))
}

/// Student's t interval of the mean at 95 %, as in tables.
pub(super) fn interval(values: &[f64]) -> Option<(f64, f64)> {
    mean_interval(values, LEVEL).map(|interval| interval.bounds())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::drawn::{Drawn, hex};
    use crate::figure::theme::MODEL;

    /// A comparison of success rates, one variant near 1 and one near 0.
    fn rates() -> Summary {
        let variant = |name: &str, rates: [f64; 3]| {
            let seeds = (0..).zip(rates);
            let seeds = seeds.map(
                |(seed, rate)| serde_json::json!({"seed": seed, "status": "done", "metrics": {"rollout/success_rate": rate}}),
            );
            serde_json::json!({
                "name": name, "variant": name, "point": "", "changes": [], "settings": {}, "seeds": seeds.collect::<Vec<_>>(),
                "summary": {"rollout/success_rate": crate::stats::Summary::new(&rates, 0).unwrap()},
            })
        };
        let metric = MetricDocument::from(find("rollout/success_rate").unwrap());
        let summary = serde_json::json!({
            "format": 2, "experiment": "e", "question": "Which arrives?", "metric": metric, "also": [], "level": 0.95,
            "oracle": null, "baseline": null, "reference": null, "differences": [],
            "variants": [variant("high", [1.0, 1.0, 0.9]), variant("low", [0.0, 0.1, 0.0])],
        });
        serde_json::from_value(summary).unwrap()
    }

    #[test]
    fn intervals_of_rates_are_drawn_and_written_up_to_where_rates_end() {
        let comparison = comparison(&rates());
        let intervals: Vec<_> = comparison.rows.iter().filter_map(|row| row.interval).collect();
        assert!(
            matches!(intervals[..], [(low, 1.0), (0.0, high)] if low > 0.0 && high < 1.0),
            "{intervals:?}"
        );
        let drawn = Drawn::read(&comparison.draw().unwrap().svg().unwrap());
        let axes = drawn.axes(0.0, 1600.0);
        let bars = drawn.lines.iter().filter(|line| line.color == hex(MODEL));
        let ends: Vec<f64> = bars
            .flat_map(|line| &line.points)
            .map(|p| axes.read(0, false, p.0))
            .collect();
        assert_eq!(ends.len(), 4);
        assert!(ends.iter().all(|end| (-1e-3..=1.0 + 1e-3).contains(end)), "{ends:?}");
        assert!(
            drawn.words().contains(", 1.00") && drawn.words().contains("[0.00"),
            "{}",
            drawn.words()
        );
        assert!(!drawn.words().contains("clipped"), "{}", drawn.words());
    }
}
