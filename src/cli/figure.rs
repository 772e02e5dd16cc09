//! `latent-lab figure NAME` or `--all`: lecture figures from their records, running what is missing.

use super::kind::Kind;
use super::list::table;
use super::shipped::Shipped;
use super::{Overrides, Stop, load, run, say, tell};
use crate::figure::lecture::{self, LectureFigure};
use crate::runner::Fresh;
use crate::spec::check::closest;
use clap::Args;
use std::path::{Path, PathBuf};

/// Where the repository keeps the experiment files of the figures.
const FOLDER: &str = "experiments/lecture";

#[derive(Debug, Args)]
pub(super) struct Figure {
    /// The figures, as `list figure` names them; without a name they are listed
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Draw all of them
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// The folder with the experiment files of the figures; without this flag experiments/lecture, or the files that are
    /// part of the program where there is no such folder
    #[arg(long, value_name = "DIR")]
    experiments: Option<PathBuf>,
    /// The folder that records go to
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Where the pictures go; `figures` in the experiment's folder of records without this flag
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    /// Runs at a time; without this flag as many as there are processors
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

impl Figure {
    pub(super) fn execute(&self) -> Result<(), Stop> {
        if self.names.is_empty() && !self.all {
            say(&table(&Kind::Figure.entries()));
            say("\nlatent-lab figure NAME draws one, latent-lab figure --all draws all\n");
            return Ok(());
        }
        let chosen = self.chosen()?;
        let mut shipped = None;
        let folder = match &self.experiments {
            Some(folder) => folder.clone(),
            None if Path::new(FOLDER).is_dir() => FOLDER.into(),
            None => shipped.insert(Shipped::unpack()?).folder(),
        };
        for (number, figure) in chosen.iter().enumerate() {
            if !self.quiet && chosen.len() > 1 {
                tell(&format!("figure {} of {}: {}", number + 1, chosen.len(), figure.name));
            }
            let file = folder.join(figure.experiment);
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
