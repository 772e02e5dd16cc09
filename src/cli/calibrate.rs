//! `latent-lab calibrate intervals|sequential`: measures by simulation what the suite's intervals cover and how often its
//! tests err, and writes the tables that the program itself quotes.

use super::{Stop, say};
use crate::error::Error;
use crate::record::{now, write_atomically};
use crate::stats::calibration::{intervals, sequential};
use crate::stats::{Coverage, Estimand, IntervalMethod, ScoreKind};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Calibrate {
    /// What to measure
    #[arg(value_enum)]
    what: What,
    /// The folder that the tables are written to
    #[arg(long, value_name = "DIR", default_value = "results/statistics")]
    output: PathBuf,
    /// Simulated experiments per cell; 10000 for intervals, 2000 for sequential without this flag
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    simulations: Option<u32>,
    /// Resamples of each bootstrap interval
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    resamples: u32,
    /// The seed of the simulations
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// The coverage of 95 % intervals, by shape of scores, number of runs and method.
    Intervals,
    /// The false positives and the power of tests that look several times while seeds are added.
    Sequential,
}

impl Calibrate {
    pub(super) fn execute(&self) -> Result<(), Stop> {
        let (name, csv, markdown) = match self.what {
            What::Intervals => {
                let settings = intervals::Settings {
                    simulations: self.simulations.unwrap_or(10_000) as usize,
                    resamples: self.resamples as usize,
                    seed: self.seed,
                };
                let table = intervals::table(settings);
                let command = format!(
                    "latent-lab calibrate intervals --simulations {} --resamples {} --seed {}",
                    settings.simulations, settings.resamples, settings.seed
                );
                ("intervals", to_csv(&table)?, coverage_markdown(&table, &command))
            }
            What::Sequential => {
                let simulations = self.simulations.unwrap_or(2000) as usize;
                let table = sequential::table(simulations, self.seed);
                let command = format!(
                    "latent-lab calibrate sequential --simulations {simulations} --seed {}",
                    self.seed
                );
                ("sequential", to_csv(&table)?, sequential_markdown(&table, &command))
            }
        };
        std::fs::create_dir_all(&self.output).map_err(|error| Error::io(&self.output, error))?;
        for (extension, text) in [("csv", &csv), ("md", &markdown)] {
            let path = self.output.join(format!("{name}.{extension}"));
            write_atomically(&path, text.as_bytes())?;
        }
        say(&markdown);
        Ok(())
    }
}

/// Rows as CSV with a head.
fn to_csv<T: Serialize>(rows: &[T]) -> Result<String, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Other(format!("cannot write the table: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).map_err(|error| failed(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(&error))?;
    String::from_utf8(bytes).map_err(|error| failed(&error))
}

/// Where a table comes from: command and date.
fn provenance(command: &str) -> String {
    let date = now();
    format!("Made by `{command}` on {}.", date.split('T').next().unwrap_or(&date))
}

/// The coverage of intervals: one table per estimand, methods as rows, numbers of runs as columns.
fn coverage_markdown(table: &[Coverage], command: &str) -> String {
    let simulations = table.first().map_or(0, |row| row.simulations);
    let mut text = format!(
        "# What 95 % intervals really cover\n\n{} {simulations} simulated experiments per cell; a standard error is at most \
         {:.1} points. Cells are in percent; in brackets the median width in standard deviations of a score. The file \
         `intervals.csv` beside this one holds the same numbers; the program quotes them.\n\n",
        provenance(command),
        100.0 * table.iter().map(|row| row.standard_error).fold(0.0, f64::max)
    );
    text += "Scores are normal; skewed (exponential); bounded (success rates of 480 roll-outs, probability of success from \
             Beta(18, 2)); contaminated (normal with deviation 0.1 around 1, or around 0 in the 30 % of runs that fail). \
             Paired differences are of two variants with unlike distributions of that kind.\n";
    let estimands = [
        (Estimand::Mean, "The mean over seeds"),
        (Estimand::TrimmedMean, "The 25 % trimmed mean over seeds"),
        (Estimand::PairedDifference, "The mean difference, paired by seed"),
    ];
    for (estimand, title) in estimands {
        let runs = intervals::RUNS.map(|runs| format!("n = {runs}")).join(" | ");
        let _ = write!(
            text,
            "\n## {title}\n\n| scores | interval | {runs} |\n|---|---|---|---|---|---|---|\n"
        );
        for scores in ScoreKind::ALL {
            for method in IntervalMethod::ALL {
                let cell = |runs: usize| {
                    let same = |row: &&Coverage| {
                        (row.estimand, row.scores, row.runs, row.method) == (estimand, scores, runs, method)
                    };
                    table.iter().find(same).map(|row| match row.median_width.is_finite() {
                        true => format!("{:.1} ({:.2})", 100.0 * row.coverage, row.median_width),
                        false => format!("{:.1}", 100.0 * row.coverage),
                    })
                };
                let cells = intervals::RUNS.map(cell);
                if cells.iter().any(Option::is_some) {
                    let cells = cells.map(|cell| cell.unwrap_or_else(|| "–".to_owned())).join(" | ");
                    let _ = writeln!(text, "| {} | {} | {cells} |", scores.name(), method.title());
                }
            }
        }
    }
    text += "\nThe program gives the bootstrap-t and BCa intervals from 5 runs on, and the percentile bootstrap from 20 on; \
             with fewer it is measured here only to show why. An interval that does not exist does not cover: all scores of \
             a few runs can be equal.\n\nWith 30 % failed runs no interval is honest at 3 to 5 seeds: most such samples hold \
             no failure, or one, and no method can know of what it has not seen.\n";
    text
}

/// The errors of sequential tests: false positives, power, negligible differences.
fn sequential_markdown(table: &[sequential::Row], command: &str) -> String {
    let simulations = table.first().map_or(0, |row| row.simulations);
    let mut text = format!(
        "# How often tests err that look while seeds are added\n\n{} {simulations} simulated experiments per row, from 5 to 30 \
         seeds, at an error of 5 % for all comparisons together. Planned: the sequential sign-flip test, a look every 5 seeds. \
         Fixed: one sign-flip test at 30 seeds, with Holm's correction. Unplanned: looks with a test that is valid for a \
         single look, until it finds something. The file `sequential.csv` beside this one holds the same numbers.\n",
        provenance(command)
    );
    let percent = |share: f64| format!("{:.1}", 100.0 * share);
    let name = |value: &dyn std::fmt::Debug| format!("{value:?}");
    text += "\n## False positives: no variant differs from the reference\n\n| design | scores | comparisons | any false positive, % | standard \
             error | mean pairs |\n|---|---|---|---|---|---|\n";
    let null = |row: &&sequential::Row| row.effect == 0.0 && row.difference == 0.0;
    for row in table.iter().filter(null) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {:.1} |",
            design_title(row.design),
            words(&name(&row.scores)),
            row.comparisons,
            percent(row.any_decided),
            percent(row.standard_error),
            row.mean_pairs
        );
    }
    text += "\n## Power: every variant differs, normal scores\n\nThe effect is in standard deviations of a paired \
             difference.\n\n| design | comparisons | effect | decided, % of comparisons | mean pairs |\n|---|---|---|---|---|\n";
    for row in table.iter().filter(|row| row.effect > 0.0 && row.difference == 0.0) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {:.1} |",
            design_title(row.design),
            row.comparisons,
            row.effect,
            percent(row.decided),
            row.mean_pairs
        );
    }
    text += "\n## A smallest difference of interest δ\n\nWhere the effect is δ, \"negligible\" is an error.\n\n| design | effect | δ | \
             negligible, % | better or worse, % | mean pairs |\n|---|---|---|---|---|---|\n";
    for row in table.iter().filter(|row| row.difference > 0.0) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {:.1} |",
            design_title(row.design),
            row.effect,
            row.difference,
            percent(row.negligible),
            percent(row.decided),
            row.mean_pairs
        );
    }
    text
}

fn design_title(design: sequential::Design) -> &'static str {
    match design {
        sequential::Design::Planned => "planned looks every 5 seeds",
        sequential::Design::Fixed => "fixed at 30 seeds",
        sequential::Design::UnplannedSignFlip => "unplanned sign-flip tests every 5 seeds",
        sequential::Design::UnplannedT => "unplanned t tests every 5 seeds",
        sequential::Design::UnplannedTEverySeed => "unplanned t tests after every seed",
    }
}

/// `HeavyTailed` as `heavy tailed`.
fn words(name: &str) -> String {
    let mut text = String::new();
    for (i, c) in name.chars().enumerate() {
        if c.is_uppercase() && i > 0 {
            text.push(' ');
        }
        text.extend(c.to_lowercase());
    }
    text
}
