//! `latent-lab figure NAME|FILE` or `--all`: draws lecture figures, or the two figures of an experiment, from its
//! records. Missing runs are run first. Figures have the width of a screen or of a paper.

use super::kind::Kind;
use super::list::table;
use super::shipped::Shipped;
use super::{Overrides, Stop, load, run, say, tell};
use crate::figure::experiment as figures;
use crate::figure::lecture::{self, LectureFigure};
use crate::figure::theme::Page;
use crate::runner::Fresh;
use crate::spec::suggestion::closest;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// Where the repository keeps the experiment files of the figures.
const FOLDER: &str = "experiments/lecture";

#[derive(Debug, Args)]
pub(super) struct Figure {
    /// Lecture figures, as `list figure` names them, or experiment files, of which comparison and learning curves are
    /// drawn; without a name the lecture figures are listed
    #[arg(value_name = "NAME|FILE")]
    names: Vec<String>,
    /// Draw all of them
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// The folder with the experiment files of the figures; without this flag experiments/lecture, or the files that
    /// are part of the program where there is no such folder
    #[arg(long, value_name = "DIR")]
    experiments: Option<PathBuf>,
    /// The folder that records go to
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Where the pictures go; without this flag `figures` in the experiment's folder of records, or with --width a
    /// folder of that name in it
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Draw for a paper: text of 7 points or more, title and caption in a text file beside the picture
    #[arg(long, value_name = "WIDTH")]
    width: Option<Width>,
    #[command(flatten)]
    overrides: Overrides,
    /// Runs at a time; without this flag as many as there are processors
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Show no progress
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
        if self.names.is_empty() && !self.all {
            say(&table(&Kind::Figure.entries()));
            say("\nlatent-lab figure NAME draws one, latent-lab figure --all draws all\n");
            return Ok(());
        }
        let (page, subfolder) = match self.width {
            None => (Page::Screen, ""),
            Some(Width::Column) => (Page::Column, "column"),
            Some(Width::Text) => (Page::Text, "text"),
        };
        let chosen = self.chosen()?;
        let mut shipped = None;
        let folder = match &self.experiments {
            Some(folder) => folder.clone(),
            None if Path::new(FOLDER).is_dir() => FOLDER.into(),
            None => shipped.insert(Shipped::unpack()?).folder(),
        };
        for (number, drawn) in chosen.iter().enumerate() {
            let (name, file) = match drawn {
                Drawn::Lecture(figure) => (figure.name.to_owned(), folder.join(figure.experiment)),
                Drawn::Experiment(file) => (file.display().to_string(), file.clone()),
            };
            if !self.quiet && chosen.len() > 1 {
                tell(&format!("figure {} of {}: {name}", number + 1, chosen.len()));
            }
            let experiment = load(&file, &self.overrides, &self.results)?;
            let summary = run::run(&experiment, self.jobs, Fresh::None, !self.quiet)?.complete()?;
            let own = || experiment.dir().join("figures").join(subfolder);
            let folder = self.output.clone().unwrap_or_else(own);
            let files = match drawn {
                Drawn::Lecture(figure) => (figure.draw)(&experiment)?
                    .page(page)
                    .write(&folder.join(figure.name))?,
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
