//! `latent-lab figure NAME` or `--all`: lecture figures from their records, running what is missing.

use super::{Overrides, Stop, load, run, say};
use crate::figure::lecture::{self, LectureFigure};
use crate::runner::Fresh;
use crate::spec::check::closest;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Figure {
    /// The figures, as `list figure` names them
    #[arg(value_name = "NAME", required_unless_present = "all")]
    names: Vec<String>,
    /// Draw all of them
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// The folder with the lecture's experiment files
    #[arg(long, value_name = "DIR", default_value = "experiments/lecture")]
    experiments: PathBuf,
    /// The folder that records go to
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Where the pictures go; `figures` in the experiment's folder of records without this flag
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    /// Runs at a time; the number of processors without this flag
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// No progress bars
    #[arg(long)]
    quiet: bool,
}

impl Figure {
    pub(super) fn execute(&self) -> Result<(), Stop> {
        for figure in self.chosen()? {
            let file = self.experiments.join(figure.experiment);
            let experiment = load(&file, &self.overrides, &self.results)?;
            run::run(&experiment, self.jobs, Fresh::None, !self.quiet)?.complete()?;
            let folder = self.output.clone().unwrap_or_else(|| experiment.dir().join("figures"));
            for path in (figure.draw)(&experiment)?.write(&folder.join(figure.name))? {
                say(&format!("{}\n", path.display()));
            }
        }
        Ok(())
    }

    fn chosen(&self) -> Result<Vec<&'static LectureFigure>, Stop> {
        if self.all {
            return Ok(lecture::FIGURES.iter().collect());
        }
        let find = |name: &String| {
            lecture::find(name).ok_or_else(|| {
                let known = lecture::FIGURES.iter().map(|figure| figure.name);
                let nearest =
                    closest(name, known.clone()).map_or(String::new(), |name| format!("; did you mean `{name}`?"));
                Stop::Usage(format!(
                    "there is no figure `{name}`{nearest} There are: {}",
                    known.collect::<Vec<_>>().join(", ")
                ))
            })
        };
        self.names.iter().map(find).collect()
    }
}
