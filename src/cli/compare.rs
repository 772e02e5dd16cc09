//! `latent-lab compare FILE...`: the comparison of finished experiments, and the table that `run` ends with.

use super::table::{Table, number};
use super::{Overrides, Stop, load, say};
use crate::runner::{Summary, summarize};
use clap::Args;
use std::fmt::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Compare {
    /// The experiment files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
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
        for (number, file) in self.files.iter().enumerate() {
            let summary = summarize(&load(file, &self.overrides, &self.results)?)?;
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

fn interval(interval: Option<(f64, f64)>) -> String {
    interval.map_or("–".to_owned(), |(low, high)| {
        format!("[{}, {}]", number(low), number(high))
    })
}

/// The comparison as a table that a person can read.
pub(super) fn render(summary: &Summary) -> String {
    let metric = &summary.metric;
    let direction = match metric.larger_is_better {
        Some(true) => ", larger is better",
        Some(false) => ", smaller is better",
        None => "",
    };
    let mut text = format!(
        "{}\n\n{} in {}{direction}\n\n",
        summary.question, metric.name, metric.unit
    );
    let mut table = Table::new(&[
        "variant",
        "seeds",
        "mean",
        "95 % interval",
        "interquartile mean",
        "95 % interval",
    ]);
    let mut trimmed_nothing = false;
    for variant in &summary.variants {
        let done = variant.seeds.iter().filter(|seed| seed.status == "done").count();
        let seeds = format!("{done}/{}", variant.seeds.len());
        let blank = "–".to_owned();
        let row = match variant.summary.get(&metric.name) {
            Some(scores) => {
                trimmed_nothing |= scores.interquartile_mean_is_mean;
                [
                    variant.name.clone(),
                    seeds,
                    scores.mean.map_or(blank.clone(), number),
                    interval(scores.mean_interval),
                    scores.interquartile_mean.map_or(blank, number),
                    interval(scores.interquartile_mean_interval),
                ]
            }
            None => [
                variant.name.clone(),
                seeds,
                blank.clone(),
                blank.clone(),
                blank.clone(),
                blank,
            ],
        };
        table.row(&row);
    }
    for (name, value) in [("oracle", summary.oracle), ("baseline", summary.baseline)] {
        if let Some(value) = value {
            let empty = String::new();
            table.row(&[
                name.to_owned(),
                empty.clone(),
                number(value),
                empty.clone(),
                empty.clone(),
                empty,
            ]);
        }
    }
    text.push_str(&table.render());
    if trimmed_nothing {
        text.push_str("below 4 seeds the interquartile mean is the mean; below 3 there is no interval\n");
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
    let failures = summary.failures();
    if !failures.is_empty() {
        let _ = write!(text, "\n{failures}");
    }
    text
}
