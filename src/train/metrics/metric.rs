//! What is said about a metric: its name, formula, unit and direction, and what it needs.

use super::Tables;
use crate::data::GeneratorKind;
use crate::kind::{either, names_where};
use crate::model::{LikelihoodKind, ModelKind};

/// One metric.
#[derive(Debug, Clone)]
pub struct Metric {
    /// Its name in records, tables and figures.
    pub name: String,
    /// Its name in words, for titles, axes and column heads: "test log-likelihood".
    pub title: String,
    /// How it is computed. Each text can be read on its own.
    pub formula: String,
    /// What an experiment needs for a run to report it, in words.
    pub needs: String,
    /// The same as conditions, in the order in which they are checked.
    pub conditions: Vec<Condition>,
    /// Its unit.
    pub unit: &'static str,
    /// Whether larger is better; none if neither is.
    pub larger_is_better: Option<bool>,
}

/// What a metric needs of an experiment.
#[derive(Debug, Clone, Copy)]
pub struct Condition {
    /// What is needed, as in "needs test rows".
    pub what: &'static str,
    /// What to write. `{likelihood}` stands for the name of the log-likelihood that the model has, and the names in
    /// `KINDS` for kinds of the registry.
    pub write: &'static str,
    /// Whether an experiment has it.
    pub holds: fn(&Tables) -> bool,
}

/// One or several metrics as their family declares them. A metric of several parts of the data is declared once: in its
/// texts `{part}` stands for the name of the part, and `{rows}` for its rows in words. In its needs, the names in `KINDS`
/// stand for kinds of the registry.
#[derive(Debug, Clone, Copy)]
pub struct Declared {
    /// The parts of the data that it is computed on; none if its texts name no part.
    pub parts: &'static [DataPart],
    /// [`Metric::name`].
    pub name: &'static str,
    /// [`Metric::title`].
    pub title: &'static str,
    /// [`Metric::formula`].
    pub formula: &'static str,
    /// [`Metric::needs`], without what the part needs.
    pub needs: &'static str,
    /// [`Metric::conditions`], after that of the part.
    pub conditions: &'static [Condition],
    /// [`Metric::unit`].
    pub unit: &'static str,
    /// [`Metric::larger_is_better`].
    pub larger_is_better: Option<bool>,
}

/// A part of the data, as metrics name it.
#[derive(Debug, Clone, Copy)]
pub struct DataPart {
    /// What stands before the slash in the name of a metric.
    pub name: &'static str,
    /// Its rows in words, as in "the training rows".
    pub rows: &'static str,
    /// What an experiment needs to have it, in words; empty if every experiment has it.
    pub needs: &'static str,
    /// The same as a condition.
    pub condition: Option<Condition>,
}

/// The training rows.
pub const TRAIN: DataPart = DataPart {
    name: "train",
    rows: "training",
    needs: "",
    condition: None,
};

/// The training rows, for metrics that are computed on the test rows if there are any.
pub const TRAIN_WITHOUT_TEST: DataPart = DataPart {
    needs: "no test rows",
    condition: Some(Condition {
        what: "an experiment without test rows",
        write: "the same metric of the test rows",
        holds: |tables| !tables.has_test_rows(),
    }),
    ..TRAIN
};

/// The validation rows.
pub const VALIDATION: DataPart = DataPart {
    name: "validation",
    rows: "validation",
    needs: "`data.validation_fraction`",
    condition: Some(Condition {
        what: "validation rows",
        write: "`data.validation_fraction` above 0",
        holds: |tables| tables.data.validation_fraction > 0.0,
    }),
};

/// The test rows.
pub const TEST: DataPart = DataPart {
    name: "test",
    rows: "test",
    needs: "test rows",
    condition: Some(TEST_ROWS),
};

/// There are test rows.
pub const TEST_ROWS: Condition = Condition {
    what: "test rows",
    write: "`data.test_fraction` or `data.test_path`",
    holds: |tables| tables.has_test_rows(),
};

/// The names of some kinds of a registry.
type Names = fn() -> Vec<String>;

/// Names that in a text stand for the kinds of the registry that with their default options are such.
const KINDS: [(&str, Names); 4] = [
    ("{finite conditional model}", || {
        names_where::<dyn ModelKind>(|kind| kind.abilities().conditional && kind.abilities().is_finite())
    }),
    ("{estimated model}", || {
        names_where::<dyn ModelKind>(|kind| kind.likelihood(false) == LikelihoodKind::Estimate)
    }),
    ("{inexact model}", || {
        names_where::<dyn ModelKind>(|kind| kind.likelihood(false) != LikelihoodKind::Exact)
    }),
    ("{known state space}", || {
        names_where::<dyn GeneratorKind>(|kind| kind.truth().is_some())
    }),
];

/// `text` with the kinds that its names stand for.
pub fn with_kinds(text: &str) -> String {
    let named = KINDS.into_iter().filter(|(name, _)| text.contains(name));
    named.fold(text.to_owned(), |text, (name, kinds)| {
        text.replace(name, &either(&kinds()))
    })
}

/// The unit of log-likelihoods.
pub const PER_DATUM: &str = "nats per datum";

impl Declared {
    /// The metrics, one per part.
    pub fn metrics(&self) -> Vec<Metric> {
        match self.parts {
            [] => vec![self.of_part(&DataPart {
                name: "",
                rows: "",
                ..TRAIN
            })],
            parts => parts.iter().map(|part| self.of_part(part)).collect(),
        }
    }

    fn of_part(&self, part: &DataPart) -> Metric {
        let own = with_kinds(self.needs);
        let text = |text: &str| text.replace("{part}", part.name).replace("{rows}", part.rows);
        let needs = match (own.as_str(), part.needs) {
            ("", of_part) => of_part.to_owned(),
            (own, "") => own.to_owned(),
            (own, of_part) if of_part.starts_with("no ") => format!("{own}, and {of_part}"),
            (own, of_part) => format!("{own}, {of_part}"),
        };
        Metric {
            name: text(self.name),
            title: text(self.title),
            formula: text(self.formula),
            needs,
            conditions: part.condition.iter().chain(self.conditions).copied().collect(),
            unit: self.unit,
            larger_is_better: self.larger_is_better,
        }
    }
}
