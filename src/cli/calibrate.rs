//! `latent-lab calibrate intervals|sequential`: measures by simulation what the suite's intervals cover and how often
//! its tests err, and writes the tables that the program itself quotes.

use super::{Stop, say};
use crate::error::Error;
use crate::record::{now, write_atomically};
use crate::stats::calibration::{intervals, markdown, sequential};
use clap::{Args, ValueEnum};
use serde::Serialize;
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
                (
                    "intervals",
                    to_csv(&table)?,
                    markdown::coverage(&table, &provenance(&command)),
                )
            }
            What::Sequential => {
                let simulations = self.simulations.unwrap_or(2000) as usize;
                let table = sequential::table(simulations, self.seed);
                let command = format!(
                    "latent-lab calibrate sequential --simulations {simulations} --seed {}",
                    self.seed
                );
                (
                    "sequential",
                    to_csv(&table)?,
                    markdown::sequential(&table, &provenance(&command)),
                )
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
