//! The two figures that every experiment gets: its comparison and its learning curves.

use super::comparison::{Row, comparison};
use super::curves::{Curve, Labels, learning_curves};
use crate::Result;
use crate::runner::{Summary, VariantSummary, agreed};
use crate::stats::{LEVEL, Summary as Statistics, mean_interval};
use std::path::{Path, PathBuf};

/// Draws `comparison` and, where there is a curve to show, `learning_curves` into `folder`; returns the files.
pub fn write(summary: &Summary, folder: &Path) -> Result<Vec<PathBuf>> {
    let metric = &summary.metric;
    let labels = Labels {
        title: summary.question.clone(),
        caption: format!("{}: {}", metric.name, metric.formula),
        x: format!("{} ({})", metric.name, metric.unit),
        y: String::new(),
    };
    let rows: Vec<Row> = summary
        .variants
        .iter()
        .map(|variant| row(variant, &metric.name))
        .collect();
    let comparison = || comparison(&rows, summary.oracle, summary.baseline, &labels)?.write(&folder.join("comparison"));
    let (comparison, curves) = rayon::join(comparison, || write_curves(summary, folder));
    Ok(comparison?.into_iter().chain(curves?.into_iter().flatten()).collect())
}

/// Draws `learning_curves` where there is a curve to show.
fn write_curves(summary: &Summary, folder: &Path) -> Result<Option<[PathBuf; 2]>> {
    let metric = &summary.metric;
    // A metric of roll-outs is measured once, at the end: its curve is that of the likelihood.
    let measured_along = |name: &str| {
        let lines = summary
            .variants
            .iter()
            .flat_map(|variant| &variant.seeds)
            .flat_map(|seed| &seed.curve);
        lines.filter(|line| line.values.contains_key(name)).count() > 1
    };
    let along = [
        metric.name.as_str(),
        "test/log_likelihood",
        "test/log_likelihood_grid",
        "test/log_likelihood_estimate",
        "test/log_likelihood_bound",
        "train/log_likelihood",
        "train/log_likelihood_grid",
        "train/log_likelihood_estimate",
        "train/log_likelihood_bound",
    ];
    let Some(name) = along.into_iter().find(|name| measured_along(name)) else {
        return Ok(None);
    };
    let curves: Vec<Curve> = summary.variants.iter().map(|variant| curve(variant, name)).collect();
    // A start and an end make no curve.
    if curves.iter().all(|curve| curve.steps.len() < 3) {
        return Ok(None);
    }
    let (oracle, baseline) = match name == metric.name {
        true => (summary.oracle, summary.baseline),
        false => (agreed(&summary.variants, "test/oracle"), None),
    };
    let unit = crate::train::metrics::find(name).map_or("", |metric| metric.unit);
    let labels = Labels {
        title: summary.question.clone(),
        caption: match curves.iter().map(|curve| curve.values.len()).max() {
            Some(seeds @ 3..) => format!("Mean over {seeds} seeds with 95 % Student t intervals."),
            Some(2) => "Mean over 2 seeds.".to_owned(),
            _ => "One seed.".to_owned(),
        },
        x: "steps".to_owned(),
        y: format!("{name} ({unit})"),
    };
    let figure = learning_curves(&curves, oracle, baseline, &interval, &labels)?;
    Ok(Some(figure.write(&folder.join("learning_curves"))?))
}

fn row(variant: &VariantSummary, metric: &str) -> Row {
    let summary = variant.summary.get(metric);
    Row {
        name: variant.name.clone(),
        scores: variant.scores(metric).into_values().collect(),
        failed: variant.failed(),
        mean: summary.and_then(|summary| summary.mean),
        interval: summary.and_then(Statistics::bounds),
    }
}

/// The curve of one variant over the steps that all of its finished seeds have; a seed that converged early keeps its
/// last value.
pub(super) fn curve(variant: &VariantSummary, metric: &str) -> Curve {
    let done: Vec<_> = variant.seeds.iter().filter(|seed| !seed.curve.is_empty()).collect();
    let mut steps: Vec<u64> = done
        .iter()
        .flat_map(|seed| seed.curve.iter().map(|line| line.step))
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

/// Student's t interval of the mean at 95 %, as in tables.
pub(super) fn interval(values: &[f64]) -> Option<(f64, f64)> {
    mean_interval(values, LEVEL).map(|interval| interval.bounds())
}
