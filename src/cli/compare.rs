//! `latent-lab compare FILE|DIR...`: the comparison of finished experiments, and the table that `run` ends with.

mod benchmark;
mod folder;
mod render;
mod verdicts;

pub(super) use render::render;

use super::{Overrides, Stop, load, say};
use crate::runner::{
    Benchmark, Curves, Experiment, PlannedRun, Summary, Tuning, reading_pool, show_looks, summarize_runs,
};
use crate::spec::Seeds;
use crate::stats::{self, IntervalMethod};
use crate::{Error, Result};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Compare {
    /// Experiment files, folders of their records, or a folder of several experiments, which are then listed
    #[arg(value_name = "FILE|DIR", required = true)]
    sources: Vec<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    /// The folder that records are in
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Compare with this variant; with the first one of the file without this flag
    #[arg(long, value_name = "VARIANT")]
    against: Option<String>,
    /// Compare the best grid point of each variant, chosen on validation rows or on --tuning-seeds
    #[arg(long)]
    best: bool,
    /// With --best: choose on these seeds, and compare on the others
    #[arg(long, value_name = "SEEDS", requires = "best")]
    tuning_seeds: Option<String>,
    /// How intervals of means and differences are made: student_t (the default), bootstrap_t, bca or percentile
    #[arg(long, value_name = "METHOD", value_parser = interval_method)]
    interval: Option<IntervalMethod>,
    /// Several experiments together: one normalised score per variant over runs × tasks
    #[arg(long, conflicts_with_all = ["against", "best", "interval"])]
    aggregate: bool,
    /// Compare each variant with itself: how often the test fires on random halves of its seeds
    #[arg(long, conflicts_with_all = ["aggregate", "json"])]
    placebo: bool,
    /// Print JSON, the same as summary.json; for several sources a list of such documents
    #[arg(long)]
    json: bool,
}

impl Compare {
    pub(super) fn execute(&self) -> std::result::Result<(), Stop> {
        let tuning = self.tuning()?;
        let mut summaries = Vec::new();
        for source in &self.sources {
            let mut records = None;
            let mut summary = match source.is_dir() {
                true => {
                    if self.overrides.is_given() {
                        return Err(Stop::Usage(format!(
                            "{}: --set and --seeds change an experiment file, and this is a folder; name the file",
                            source.display()
                        )));
                    }
                    if let Some(list) = folder::experiments(source)? {
                        if self.sources.len() > 1 {
                            return Err(Stop::Usage(format!(
                                "{} holds several experiments: name those to compare",
                                source.display()
                            )));
                        }
                        say(&list.print(self.json));
                        return Ok(());
                    }
                    Summary::read(source)?
                }
                false => {
                    let (summary, experiment, runs) = self.summarize(source, tuning.as_ref())?;
                    records = Some((experiment.dir(), runs));
                    summary
                }
            };
            if let Some(tuning) = &tuning {
                summary = summary.best(tuning).map_err(usage)?;
            }
            if let Some(against) = &self.against {
                summary.compare_with(Some(against)).map_err(usage)?;
            }
            if let Some(method) = self.interval {
                summary.use_intervals(method);
            }
            // Only a look at all finished seeds counts as a look at the comparison.
            let all = self.overrides.seeds.is_none() && tuning.is_none() && !self.aggregate;
            if let Some((folder, runs)) = records.filter(|_| all) {
                show_looks(&folder, &mut summary, &runs)?;
            }
            summaries.push(summary);
        }
        if self.aggregate {
            let benchmark = Benchmark::new(&summaries).map_err(usage)?;
            say(&match self.json {
                true => {
                    serde_json::to_string_pretty(&benchmark)
                        .map_err(|error| Error::Other(format!("cannot write the aggregate: {error}")))?
                        + "\n"
                }
                false => benchmark::render(&benchmark),
            });
            return Ok(());
        }
        if self.json {
            say(&documents(&summaries)?);
        } else {
            let texts: Vec<String> = summaries.iter().map(render).collect();
            say(&texts.join("\n\n"));
            if self.placebo {
                say(&summaries.iter().map(placebos).collect::<String>());
            }
        }
        Ok(())
    }

    /// The comparison of the seeds that are asked for; without `--seeds`, of all that are finished.
    fn summarize(
        &self,
        file: &Path,
        tuning: Option<&Tuning>,
    ) -> std::result::Result<(Summary, Experiment, Vec<PlannedRun>), Stop> {
        let experiment = load(file, &self.overrides, &self.results)?;
        let asked = &experiment.loaded.seeds;
        let runs = match (self.overrides.seeds.is_some(), tuning) {
            (false, _) => experiment.all_runs()?,
            (true, Some(Tuning::Seeds(tuning))) => {
                let both: Vec<String> = tuning
                    .iter()
                    .filter(|seed| asked.contains(seed))
                    .map(u64::to_string)
                    .collect();
                if !both.is_empty() {
                    return Err(Stop::Usage(format!(
                        "--seeds and --tuning-seeds share {}: a setting is never compared on the seeds that it was chosen on",
                        both.join(", ")
                    )));
                }
                let mut runs = experiment.all_runs()?;
                runs.retain(|run| asked.contains(&run.address.seed) || tuning.contains(&run.address.seed));
                runs
            }
            (true, _) => experiment.runs()?,
        };
        let summary = reading_pool()?.install(|| summarize_runs(&experiment, &runs, Curves::Leave))?;
        Ok((summary, experiment, runs))
    }

    fn tuning(&self) -> std::result::Result<Option<Tuning>, Stop> {
        if !self.best {
            return Ok(None);
        }
        let Some(text) = &self.tuning_seeds else {
            return Ok(Some(Tuning::Validation));
        };
        let seeds = read_seeds(text).map_err(|error| Stop::Usage(format!("--tuning-seeds: {error}")))?;
        Ok(Some(Tuning::Seeds(seeds)))
    }
}

/// A method for intervals of means.
fn interval_method(text: &str) -> std::result::Result<IntervalMethod, String> {
    match text.parse() {
        Ok(method) if method != IntervalMethod::TrimmedT => Ok(method),
        _ => Err("expected one of student_t, bootstrap_t, bca, percentile".to_owned()),
    }
}

/// How often the test finds a difference between random halves of the seeds of one variant, in words.
fn placebos(summary: &Summary) -> String {
    const SPLITS: usize = 1000;
    let mut text = format!("\nplacebo: each variant of {:?} against itself\n", summary.experiment);
    for variant in &summary.variants {
        let scores: Vec<f64> = variant.scores(&summary.metric.name).into_values().collect();
        let placebo = stats::placebo(&scores, summary.level, SPLITS, 0);
        text += &render::wrapped(&format!("{}: {}", variant.name, placebo.words), 2);
    }
    text
}

/// The error for arguments that do not fit the experiment.
fn usage(error: Error) -> Stop {
    match error {
        Error::Other(text) => Stop::Usage(text),
        error => error.into(),
    }
}

/// Seeds as typed: `10` (0 to 9), `20..30`, or a list such as `3,5,8`.
fn read_seeds(text: &str) -> std::result::Result<Vec<u64>, String> {
    let seeds = text.parse::<Seeds>().map_err(|error| {
        format!(
            "{}; write `10` for 0 to 9, `20..30` or `20:30`, `20-29`, or `3,5,8`",
            error.message
        )
    });
    seeds.map(|seeds| seeds.as_slice().to_vec())
}

/// One document for one summary, a list of documents for several: the same for `run` and `compare`.
pub(super) fn documents(summaries: &[Summary]) -> Result<String> {
    match summaries {
        [one] => one.to_json(),
        several => {
            let json = serde_json::to_string_pretty(several);
            json.map(|json| json + "\n")
                .map_err(|error| Error::Other(format!("cannot write the summaries: {error}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_read_as_typed() {
        assert_eq!(read_seeds("3"), Ok(vec![0, 1, 2]));
        assert_eq!(read_seeds("2..4"), Ok(vec![2, 3]));
        assert_eq!(read_seeds("[7, 5]"), Ok(vec![7, 5]));
        for wrong in ["", "a", "3..1", "1,1", "-1,2", "[a]"] {
            assert!(read_seeds(wrong).is_err(), "{wrong}");
        }
    }
}
