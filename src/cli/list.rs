//! `latent-lab list [KIND]`: names with one line each.

use super::kind::{Entry, Kind};
use super::screen::Screen;
use super::{Stop, say, table::Table};
use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(super) struct List {
    /// What to list; without it, what can be listed
    kind: Option<Kind>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl List {
    /// What can be listed, as JSON.
    pub(super) fn all_as_json() -> Result<(), Stop> {
        let all = Self { kind: None, json: true };
        all.execute()
    }

    pub(super) fn execute(&self) -> Result<(), Stop> {
        say(&match (self.kind, self.json) {
            (None, false) => overview(),
            (None, true) => {
                let kinds = Kind::value_variants().iter().map(|kind| {
                    serde_json::json!({
                        "name": kind.name(), "summary": kind.summary(), "count": kind.entries().len(),
                    })
                });
                document(&kinds.collect::<Vec<_>>())
            }
            (Some(kind), false) => table(&kind.entries()),
            (Some(kind), true) => document(&json(&kind.entries())),
        });
        Ok(())
    }
}

/// What can be listed, and how.
pub(super) fn overview() -> String {
    let mut table = Table::new(&["kind", "names", "what it is"]);
    for kind in Kind::value_variants() {
        table.row(&[kind.name(), kind.entries().len().to_string(), kind.summary()]);
    }
    table.render()
        + "\nlatent-lab list KIND            its names, a line each\n\
           latent-lab describe NAME        all about one of them\n\
           latent-lab describe KIND NAME   the same, where two kinds have the name\n"
}

/// Names and their lines as a table.
pub(super) fn table(entries: &[Entry]) -> String {
    table_on(entries, &Screen::stdout())
}

/// Names and their lines as a table that `screen` can show.
pub(super) fn table_on(entries: &[Entry], screen: &Screen) -> String {
    let mut table = Table::new(&["name", "summary"]);
    for (name, text) in entries {
        table.row(&[name.clone(), text.clone()]);
    }
    table.render_on(screen)
}

/// Names and their lines as JSON.
pub(super) fn json(entries: &[Entry]) -> Vec<serde_json::Value> {
    let item = |(name, text): &Entry| serde_json::json!({ "name": name, "summary": text });
    entries.iter().map(item).collect()
}

/// A JSON document on lines of its own.
pub(super) fn document(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
