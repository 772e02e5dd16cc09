//! What `list` and `describe` know: the parts of an experiment file with their kinds and keys, metrics, environments
//! and figures.

use crate::control::EvaluationConfig;
use crate::data::DataConfig;
use crate::environment::EnvironmentKind;
use crate::figure::lecture;
use crate::kind::{self, Chosen};
use crate::model::ModelConfig;
use crate::objective::ObjectiveConfig;
use crate::posterior::PosteriorConfig;
use crate::spec::describe::{Description, KeyDescription, file_keys, kinds, section};
use crate::spec::{Spec, describe};
use crate::train::{TrainingConfig, metrics};
use clap::ValueEnum;

/// What can be listed and described.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// The keys and tables of an experiment file
    Experiment,
    /// Sources of data: generators and files
    Data,
    /// Models p(x, z)
    #[value(alias = "models")]
    Model,
    /// Posteriors: exact, sampled or approximate p(z|x)
    #[value(alias = "posteriors")]
    Posterior,
    /// Objectives that training maximises
    #[value(alias = "objectives")]
    Objective,
    /// Optimizers: EM and gradient ascent
    #[value(alias = "optimizers")]
    Optimizer,
    /// Keys of [training], of either optimizer, with initial values and early stopping
    Training,
    /// Keys of [evaluation]: metrics, roll-outs, forecasts
    Evaluation,
    /// Environments that policies are rolled out in
    #[value(alias = "environments")]
    Environment,
    /// [[variant]]: what is compared
    #[value(alias = "variants")]
    Variant,
    /// [grid]: lists of values, tried in every combination
    Grid,
    /// seeds: which random numbers the runs use
    Seeds,
    /// Metrics: what is measured
    #[value(alias = "metrics")]
    Metric,
    /// Figures of the lecture
    #[value(alias = "figures")]
    Figure,
}

/// How initial values are chosen, as an entry of [`Kind::Training`].
pub(super) const INITIAL_VALUES: &str = "initial_values";

const VARIANT: [(&str, &str); 2] = [
    ("name", "The name of the variant in tables and figures. Required."),
    (
        "SECTION.KEY",
        "Any key of the sections, such as model.components = 8. All others are as in the rest of the file.",
    ),
];

const GRID: [(&str, &str); 1] = [(
    "\"SECTION.KEY\"",
    "A list of values of this key. Each variant is run with each combination of the values of all keys.",
)];

const SEEDS: [(&str, &str); 3] = [
    ("10", "The ten seeds 0 to 9."),
    ("\"20..30\"", "The ten seeds 20 to 29: the end is left out."),
    ("[3, 5, 8]", "These three seeds."),
];

/// A name with its one line.
pub(super) type Entry = (String, String);

impl Kind {
    /// Its name on the command line.
    pub(super) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Its one line.
    pub(super) fn summary(self) -> String {
        let value = self.to_possible_value();
        value
            .and_then(|value| value.get_help().map(ToString::to_string))
            .unwrap_or_default()
    }

    /// The kinds that a section of the file can have, where it has kinds.
    pub(super) fn descriptions(self) -> Option<Vec<Description>> {
        Some(match self {
            Self::Model => kinds::<ModelConfig>(),
            Self::Posterior => kinds::<PosteriorConfig>(),
            Self::Objective => kinds::<ObjectiveConfig>(),
            Self::Optimizer => kinds::<TrainingConfig>(),
            Self::Data => kinds::<DataConfig>(),
            Self::Environment => kinds::<Chosen<dyn EnvironmentKind>>(),
            _ => return None,
        })
    }

    /// The keys that it is about, where it is a table without kinds.
    pub(super) fn keys(self) -> Vec<KeyDescription> {
        match self {
            Self::Experiment => file_keys::<Spec>(),
            Self::Evaluation => section::<EvaluationConfig>().keys,
            Self::Training => {
                let mut all: Vec<KeyDescription> = Vec::new();
                for key in kinds::<TrainingConfig>().into_iter().flat_map(|kind| kind.keys) {
                    if !all.iter().any(|known| known.name == key.name) {
                        all.push(key);
                    }
                }
                all
            }
            _ => Vec::new(),
        }
    }

    /// The table of an experiment file whose keys can be described by `describe KIND KEY`.
    pub(super) fn table(self) -> Option<&'static str> {
        Some(match self {
            Self::Data => "data",
            Self::Model => "model",
            Self::Posterior => "posterior",
            Self::Objective => "objective",
            Self::Optimizer | Self::Training => "training",
            Self::Evaluation => "evaluation",
            _ => return None,
        })
    }

    /// Every name with its one line.
    pub(super) fn entries(self) -> Vec<Entry> {
        let own = |(name, text): (&str, &str)| (name.to_owned(), text.to_owned());
        let first = |name: String, paragraphs: Vec<String>| (name, paragraphs.into_iter().next().unwrap_or_default());
        match self {
            Self::Experiment | Self::Evaluation => {
                let keys = self.keys().into_iter();
                keys.map(|key| first(key.name, key.paragraphs)).collect()
            }
            Self::Training => {
                let line = |key: KeyDescription| {
                    let found = describe::find::<TrainingConfig>(&[&key.name]);
                    let optimizers: Vec<&str> = found
                        .iter()
                        .flat_map(|found| &found.kinds)
                        .filter_map(|kind| kind.split('"').nth(1))
                        .collect();
                    let (name, text) = first(key.name, key.paragraphs);
                    (name, format!("({}) {text}", optimizers.join(", ")))
                };
                let mut entries: Vec<Entry> = self.keys().into_iter().map(line).collect();
                entries.push(own((
                    INITIAL_VALUES,
                    "How the initial values of the parameters are chosen. Not a key.",
                )));
                entries
            }
            Self::Environment => {
                let entries = kind::entries::<dyn EnvironmentKind>().into_iter();
                entries.map(|entry| own((entry.name, entry.summary))).collect()
            }
            Self::Variant => VARIANT.into_iter().map(own).collect(),
            Self::Grid => GRID.into_iter().map(own).collect(),
            Self::Seeds => SEEDS.into_iter().map(own).collect(),
            Self::Metric => {
                let metrics = metrics::METRICS.iter();
                metrics.map(metric_line).collect()
            }
            Self::Figure => {
                let figures = lecture::FIGURES.iter();
                figures.map(|figure| own((figure.name, figure.summary))).collect()
            }
            Self::Data | Self::Model | Self::Posterior | Self::Objective | Self::Optimizer => {
                let kinds = self.descriptions().unwrap_or_default().into_iter();
                kinds.map(|kind| first(kind.name, kind.paragraphs)).collect()
            }
        }
    }
}

/// A metric in words, with its unit and which direction is better.
fn metric_line(metric: &metrics::Metric) -> Entry {
    let better = match metric.larger_is_better {
        Some(true) => "; larger is better",
        Some(false) => "; smaller is better",
        None => "",
    };
    (
        metric.name.to_owned(),
        format!("{}, in {}{better}", metric.title, metric.unit),
    )
}
