//! `latent-lab calibrate intervals|sequential`: measures by simulation what the suite's intervals cover and how often its
//! tests err, and writes the tables that the program itself quotes.

use super::{Stop, say};
use crate::error::Error;
use crate::record::{now, write_atomically};
use crate::stats::calibration::intervals;
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
        let _ = write!(text, "\n## {title}\n\n| scores | interval | {runs} |\n|---|---|---|---|---|---|---|\n");
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
