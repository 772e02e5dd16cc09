//! `compare --aggregate`: the comparison over several experiments as a text for people.

use super::render::wrapped;
use crate::cli::table::Table;
use crate::runner::{Benchmark, Estimate};
use std::fmt::Write;

/// The aggregate as a text that a person can read.
pub(super) fn render(benchmark: &Benchmark) -> String {
    let count = benchmark.tasks.len();
    let mut text =
        format!("{count} experiments together, in normalised scores: baseline 0, oracle 1, larger is better\n\n");
    let mut tasks = Table::new(&["experiment", "metric", "baseline", "oracle"]);
    for task in &benchmark.tasks {
        let [baseline, oracle] = [task.baseline, task.oracle].map(crate::cli::number::number);
        tasks.row(&[task.experiment.clone(), task.metric.clone(), baseline, oracle]);
    }
    text += &tasks.render();
    text += "\n";
    let mut table = Table::new(&["variant", "runs", "interquartile mean", "mean", "optimality gap"]);
    for variant in &benchmark.variants {
        let runs = match variant.failed {
            0 => variant.runs.to_string(),
            failed => format!("{}, {failed} failed", variant.runs),
        };
        table.row(&[
            variant.name.clone(),
            runs,
            estimate(&variant.interquartile_mean),
            estimate(&variant.mean),
            estimate(&variant.optimality_gap),
        ]);
    }
    text += &table.render();
    let mut line = |words: &str| text += &wrapped(words, 0);
    line(
        "interquartile mean: over all runs of all experiments, the middle half; optimality gap: how far runs are below the \
          oracle on average, smaller is better",
    );
    line(&format!(
        "intervals: {}; they apply to other seeds, not to other experiments",
        benchmark.method
    ));
    if benchmark.variants.iter().any(|variant| variant.failed > 0) {
        line("a failed run counts as the baseline, 0");
    }
    let no_interval = |variant: &crate::runner::VariantBenchmark| variant.mean.interval.is_none();
    if benchmark.variants.iter().any(no_interval) {
        line("fewer than 3 runs of an experiment: no interval");
    }
    if !benchmark.left_out.is_empty() {
        line(&format!(
            "left out, since not all experiments have them: {}",
            benchmark.left_out.join(", ")
        ));
    }
    if let Some(first) = benchmark.improvements.first() {
        let _ = writeln!(
            text,
            "\nprobability of improvement over {:?}: how often a run is better on the same experiment\n",
            first.against
        );
        let mut table = Table::new(&["variant", "probability", "95 % interval"]);
        for improvement in &benchmark.improvements {
            let Estimate { value, interval } = improvement.probability;
            table.row(&[
                improvement.variant.clone(),
                format!("{value:.2}"),
                interval.map_or("–".to_owned(), |(low, high)| format!("[{low:.2}, {high:.2}]")),
            ]);
        }
        text += &table.render();
    }
    text += "\nperformance profile: the share of runs above a normalised score\n\n";
    // Five of the thresholds fit a terminal; `--json` has them all.
    let shown: Vec<usize> = [0.0, 0.25, 0.5, 0.75, 0.9]
        .iter()
        .filter_map(|wanted| nearest(&benchmark.thresholds, *wanted))
        .collect();
    let heads: Vec<String> = shown
        .iter()
        .map(|&i| format!("> {:.2}", benchmark.thresholds[i]))
        .collect();
    let heads: Vec<&str> = std::iter::once("variant")
        .chain(heads.iter().map(String::as_str))
        .collect();
    let mut table = Table::new(&heads);
    for variant in &benchmark.variants {
        let shares = shown
            .iter()
            .map(|&i| format!("{:.2}", variant.performance_profile[i].value));
        table.row(&std::iter::once(variant.name.clone()).chain(shares).collect::<Vec<_>>());
    }
    text += &table.render();
    text
}

/// A value with its interval, such as `0.71 [0.62, 0.80]`.
fn estimate(estimate: &Estimate) -> String {
    match estimate.interval {
        Some((low, high)) => format!("{:.2} [{low:.2}, {high:.2}]", estimate.value),
        None => format!("{:.2}", estimate.value),
    }
}

/// The index of the threshold nearest to `wanted`.
fn nearest(thresholds: &[f64], wanted: f64) -> Option<usize> {
    let far = |i: &usize| (thresholds[*i] - wanted).abs();
    (0..thresholds.len()).min_by(|a, b| far(a).total_cmp(&far(b)))
}
