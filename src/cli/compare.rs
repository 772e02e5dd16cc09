//! `latent-lab compare FILE|DIR...`: the comparison of finished experiments, and the table that `run` ends with.

use super::table::{Table, number};
use super::{Overrides, Stop, load, say};
use crate::runner::{MetricDocument, Summary, summarize};
use crate::stats::Interval;
use clap::Args;
use std::fmt::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Compare {
    /// Experiment files, or folders of their records
    #[arg(value_name = "FILE|DIR", required = true)]
    sources: Vec<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    /// The folder that records are in
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Print one JSON document per experiment, the same as summary.json
    #[arg(long)]
    json: bool,
}

impl Compare {
    pub(super) fn execute(&self) -> Result<(), Stop> {
        for (number, source) in self.sources.iter().enumerate() {
            let summary = match source.is_dir() {
                true => Summary::read(source)?,
                false => summarize(&load(source, &self.overrides, &self.results)?)?,
            };
            if self.json {
                say(&summary.to_json()?);
            } else {
                if number > 0 {
                    say("\n");
                }
                say(&render(&summary));
            }
        }
        Ok(())
    }
}

fn interval(interval: Option<Interval>) -> String {
    interval.map_or("–".to_owned(), |interval| {
        format!("[{}, {}]", number(interval.low), number(interval.high))
    })
}

/// The heading of a table: the metric, its unit, its direction.
fn heading(metric: &MetricDocument) -> String {
    let direction = match metric.larger_is_better {
        Some(true) => ", larger is better",
        Some(false) => ", smaller is better",
        None => "",
    };
    format!("{} in {}{direction}\n\n", metric.name, metric.unit)
}

/// Variants as rows: how many seeds finished, mean, standard deviation over seeds and interquartile mean of `metric`, the
/// means with their intervals.
fn rows(summary: &Summary, metric: &str) -> Table {
    let mut table = Table::new(&[
        "variant",
        "seeds",
        "mean",
        "deviation",
        "95 % interval",
        "trimmed mean",
        "95 % interval",
    ]);
    for variant in &summary.variants {
        let done = variant.seeds.iter().filter(|seed| seed.status == "done").count();
        let seeds = format!("{done}/{}", variant.seeds.len());
        let blank = || "–".to_owned();
        let numbers = match variant.summary.get(metric) {
            Some(scores) => [
                scores.mean.map_or_else(blank, number),
                scores.standard_deviation.map_or_else(blank, number),
                interval(scores.mean_interval),
                scores.trimmed_mean.map_or_else(blank, number),
                interval(scores.trimmed_mean_interval),
            ],
            None => [(); 5].map(|()| blank()),
        };
        let cells: Vec<String> = [variant.name.clone(), seeds].into_iter().chain(numbers).collect();
        table.row(&cells);
    }
    table
}

/// The comparison as a table that a person can read.
pub(super) fn render(summary: &Summary) -> String {
    let mut text = format!("{}\n\n{}", summary.question, heading(&summary.metric));
    let mut table = rows(summary, &summary.metric.name);
    for (name, value) in [("oracle", summary.oracle), ("baseline", summary.baseline)] {
        if let Some(value) = value {
            let empty = String::new;
            table.row(&[
                name.to_owned(),
                empty(),
                number(value),
                empty(),
                empty(),
                empty(),
                empty(),
            ]);
        }
    }
    text.push_str(&table.render());
    let scores = summary
        .variants
        .iter()
        .filter_map(|variant| variant.summary.get(&summary.metric.name));
    let trimmed_nothing = scores.into_iter().any(|scores| scores.trimmed_mean_is_mean);
    if trimmed_nothing {
        text.push_str("below 4 seeds the trimmed mean is the mean; below 3 there is no interval\n");
    }
    if !summary.differences.is_empty() {
        let _ = writeln!(
            text,
            "\ndifference from {:?}, paired by seed\n",
            summary.differences[0].against
        );
        let mut table = Table::new(&["variant", "pairs", "mean difference", "95 % interval"]);
        for difference in &summary.differences {
            let paired = &difference.difference;
            let (name, pairs) = (difference.variant.clone(), paired.pairs.to_string());
            table.row(&[name, pairs, number(paired.mean), interval(paired.interval)]);
        }
        text.push_str(&table.render());
    }
    for metric in &summary.also {
        let _ = write!(text, "\n{}{}", heading(metric), rows(summary, &metric.name).render());
    }
    for lines in [summary.notes(), summary.failures()] {
        if !lines.is_empty() {
            let _ = write!(text, "\n{lines}");
        }
    }
    text
}
