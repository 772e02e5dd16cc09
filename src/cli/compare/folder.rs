//! Lists the experiments in a folder of results.

use crate::Result;
use crate::cli::table::Table;
use crate::record::{self, State, list_runs};
use crate::runner::Summary;
use std::path::{Path, PathBuf};

/// The experiments in a folder.
pub(super) struct List {
    experiments: Vec<Listed>,
}

/// One experiment in a folder.
struct Listed {
    folder: PathBuf,
    done: usize,
    runs: usize,
    /// Its question, where a summary has it.
    question: Option<String>,
}

/// The experiments in `folder`; `None` if it is no folder of several experiments: it has a summary or runs of its own,
/// or there is nothing in it.
pub(super) fn experiments(folder: &Path) -> Result<Option<List>> {
    if folder.join("summary.json").exists() || !list_runs(folder)?.is_empty() {
        return Ok(None);
    }
    let mut experiments = Vec::new();
    for inner in record::folders(folder)? {
        let runs = list_runs(&inner)?;
        let summary = Summary::read(&inner).ok();
        if runs.is_empty() && summary.is_none() {
            continue;
        }
        experiments.push(Listed {
            folder: inner,
            done: runs.iter().filter(|run| run.state == State::Done).count(),
            runs: runs.len(),
            question: summary.map(|summary| summary.question),
        });
    }
    Ok((!experiments.is_empty()).then_some(List { experiments }))
}

impl List {
    /// The list as a table, or as JSON.
    pub(super) fn print(&self, json: bool) -> String {
        if json {
            let list = self.experiments.iter().map(|listed| {
                serde_json::json!({
                    "folder": listed.folder, "done": listed.done, "runs": listed.runs, "question": listed.question,
                })
            });
            let list = serde_json::to_string_pretty(&list.collect::<Vec<_>>());
            return list.unwrap_or_default() + "\n";
        }
        let mut table = Table::new(&["experiment", "runs done", "question"]);
        for listed in &self.experiments {
            table.row(&[
                listed.folder.display().to_string(),
                format!("{}/{}", listed.done, listed.runs),
                listed.question.clone().unwrap_or_else(|| "(no summary yet)".to_owned()),
            ]);
        }
        let first = self.experiments[0].folder.display();
        format!(
            "{}\nname one or several of them, such as: latent-lab compare {first}\n",
            table.render()
        )
    }
}
