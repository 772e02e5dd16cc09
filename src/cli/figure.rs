//! `latent-lab figure NAME|FILE` or `--all`: lecture figures, or an experiment's own two, from their records, running what
//! is missing; for the screen, or as wide as a paper needs them.

use super::{Overrides, Stop, load, run, say};
use crate::figure::experiment as figures;
use crate::figure::lecture::{self, LectureFigure};
use crate::figure::theme::Page;
use crate::spec::check::closest;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Figure {
    /// Lecture figures, as `list figure` names them, or experiment files, of which comparison and learning curves are drawn
    #[arg(value_name = "NAME|FILE", required_unless_present = "all")]
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
    /// Where the pictures go; without this flag `figures` in the experiment's folder of records, or with --width a folder
    /// of that name in it
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Draw for a paper: text of 7 points or more, title and caption in a text file beside the picture
    #[arg(long, value_name = "WIDTH")]
    width: Option<Width>,
    #[command(flatten)]
    overrides: Overrides,
    /// Runs at a time; the number of processors without this flag
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// No progress bars
    #[arg(long)]
    quiet: bool,
}

/// How wide a figure is in a paper.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Width {
    /// One of two columns: 3.3 inches
    Column,
    /// The text: 6.75 inches
    Text,
}

/// What to draw.
enum Drawn {
    /// A figure of the lecture.
    Lecture(&'static LectureFigure),
    /// Comparison and learning curves of the experiment in a file.
    Experiment(PathBuf),
}

impl Figure {
    pub(super) fn execute(&self) -> Result<(), Stop> {
        let (page, subfolder) = match self.width {
            None => (Page::Screen, ""),
            Some(Width::Column) => (Page::Column, "column"),
            Some(Width::Text) => (Page::Text, "text"),
        };
        for drawn in self.chosen()? {
            let file = match &drawn {
                Drawn::Lecture(figure) => self.experiments.join(figure.experiment),
                Drawn::Experiment(file) => file.clone(),
            };
            let experiment = load(&file, &self.overrides, &self.results)?;
            let (summary, _) = run::run(&experiment, self.jobs, false, !self.quiet)?;
            let own = || experiment.dir().join("figures").join(subfolder);
            let folder = self.output.clone().unwrap_or_else(own);
            let files = match drawn {
                Drawn::Lecture(figure) => {
                    let drawn = (figure.draw)(&experiment)?.page(page);
                    drawn.write(&folder.join(figure.name))?
                }
                Drawn::Experiment(_) => figures::write(&summary, &experiment, &folder, page)?,
            };
            for path in files {
                say(&format!("{}\n", path.display()));
            }
        }
        Ok(())
    }

    fn chosen(&self) -> Result<Vec<Drawn>, Stop> {
        if self.all {
            return Ok(lecture::FIGURES.iter().map(Drawn::Lecture).collect());
        }
        let find = |name: &String| {
            if Path::new(name).extension().is_some_and(|extension| extension == "toml") {
                return Ok(Drawn::Experiment(PathBuf::from(name)));
            }
            lecture::find(name).map(Drawn::Lecture).ok_or_else(|| {
                let known = lecture::FIGURES.iter().map(|figure| figure.name);
                let nearest =
                    closest(name, known.clone()).map_or(String::new(), |name| format!("; did you mean `{name}`?"));
                Stop::Usage(format!(
                    "there is no figure `{name}`{nearest} There are: {}; or name an experiment file that ends in .toml",
                    known.collect::<Vec<_>>().join(", ")
                ))
            })
        };
        self.names.iter().map(find).collect()
    }
}
