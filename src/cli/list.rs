//! `latent-lab list KIND`: names with one line each.

use super::{Stop, say, table::Table};
use crate::data::DataConfig;
use crate::figure::lecture;
use crate::model::ModelConfig;
use crate::objective::ObjectiveConfig;
use crate::posterior::PosteriorConfig;
use crate::spec::describe::{Description, kinds};
use crate::train::{TrainingConfig, metrics};
use clap::{Args, ValueEnum};

/// What can be listed and described.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// Models: log p(x, z)
    Model,
    /// Posteriors: which z, with what weight
    Posterior,
    /// Objectives: what to ascend
    Objective,
    /// Optimizers: how to ascend it
    Optimizer,
    /// Sources of data: generators and files
    Data,
    /// Metrics
    Metric,
    /// Lecture figures
    Figure,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// What to list
    kind: Kind,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Kind {
    /// The kinds of the section, where it is one of an experiment file.
    pub(super) fn descriptions(self) -> Option<Vec<Description>> {
        Some(match self {
            Self::Model => kinds::<ModelConfig>(),
            Self::Posterior => kinds::<PosteriorConfig>(),
            Self::Objective => kinds::<ObjectiveConfig>(),
            Self::Optimizer => kinds::<TrainingConfig>(),
            Self::Data => kinds::<DataConfig>(),
            Self::Metric | Self::Figure => return None,
        })
    }

    /// Every name with its one line.
    pub(super) fn names(self) -> Vec<(String, String)> {
        let own = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        match (self.descriptions(), self) {
            (Some(kinds), _) => {
                let line = |kind: Description| (kind.name, kind.paragraphs.into_iter().next().unwrap_or_default());
                kinds.into_iter().map(line).collect()
            }
            (None, Self::Figure) => lecture::FIGURES
                .iter()
                .map(|figure| own(figure.name, figure.summary))
                .collect(),
            (None, _) => metrics::METRICS
                .iter()
                .map(|metric| own(metric.name, metric.formula))
                .collect(),
        }
    }
}

impl List {
    pub(super) fn execute(&self) -> Result<(), Stop> {
        let names = self.kind.names();
        if self.json {
            let items = names
                .iter()
                .map(|(name, text)| serde_json::json!({ "name": name, "summary": text }));
            let items: Vec<_> = items.collect();
            say(&format!(
                "{}\n",
                serde_json::to_string_pretty(&items).unwrap_or_default()
            ));
        } else {
            let mut table = Table::new(&["name", "summary"]);
            for (name, text) in names {
                table.row(&[name, text]);
            }
            say(&table.render());
        }
        Ok(())
    }
}
