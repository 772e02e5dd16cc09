//! The axes of a `[grid]`: dotted paths, each with the values that it takes.

use std::collections::HashMap;

use super::diagnostic::{Diagnostic, brief};
use super::merge::nested;
use super::tree::{Entry, Node, Span, Value};
use super::variants::{MOST_ROWS, Origin, Patch, Plan, label_of};

/// One key of the grid with its values.
pub(super) struct Axis<'n> {
    path: String,
    key_span: Span,
    pub(super) values: &'n [Node],
}

impl Axis<'_> {
    pub(super) fn segments(&self) -> Vec<&str> {
        self.path.split('.').collect()
    }

    /// The last key alone if that says which axis is meant, else the whole path.
    fn label(&self, axes: &[Axis]) -> &str {
        let last = |path: &str| path.rsplit('.').next().map(str::to_owned);
        let unique = axes.iter().filter(|axis| last(&axis.path) == last(&self.path)).count() == 1;
        let short = self.path.rsplit('.').next().unwrap_or(&self.path);
        if unique { short } else { &self.path }
    }

    pub(super) fn plans(&self, axes: &[Axis]) -> Vec<Plan> {
        let plan = |value: &Node| {
            let point = format!("{}={}", self.label(axes), label_of(value));
            Plan {
                name: point.clone(),
                point,
                patches: vec![Patch {
                    node: nested(&self.segments(), self.key_span, value.clone()),
                    origin: Origin::Axis(self.path.clone()),
                }],
            }
        };
        self.values.iter().map(plan).collect()
    }
}

/// Reads `grid`.
pub(super) fn read_axes<'n>(grid: &'n Entry, file_keys: &[&str], faults: &mut Vec<Diagnostic>) -> Vec<Axis<'n>> {
    let mut axes = Vec::new();
    match grid.node.entries() {
        Some(entries) => entries
            .iter()
            .for_each(|entry| collect_axes(entry, "", &mut axes, faults)),
        None => {
            let message = format!("`grid` is {}, not a table", grid.node.words());
            let fault = Diagnostic::error(message).at(grid.node.span, "expected a table of lists");
            faults.push(fault.help("for example: `[grid]`, then `\"training.learning_rate\" = [1e-3, 3e-4]`"));
        }
    }
    for (index, axis) in axes.iter().enumerate() {
        if let Some(first) = axes[..index].iter().find(|first: &&Axis| first.path == axis.path) {
            let fault = Diagnostic::error(format!("the grid has `{}` twice", brief(&axis.path)));
            faults.push(
                fault
                    .at(axis.key_span, "expected another key")
                    .also(first.key_span, "first used here"),
            );
        }
        if axis.path.split('.').any(|segment| segment.trim().is_empty()) {
            let fault = Diagnostic::error(format!("the grid key {:?} has an empty part", brief(&axis.path)));
            faults.push(fault.at(axis.key_span, "expected a dotted path such as \"model.components\""));
        }
        if let Some(key) = axis.path.split('.').next().filter(|key| file_keys.contains(key)) {
            let fault = Diagnostic::error(format!("the grid cannot vary `{key}`"));
            faults.push(fault.at(axis.key_span, "belongs to the whole file"));
        }
        // Too many values are a fault of their own.
        let values = if axis.values.len() > MOST_ROWS {
            &[]
        } else {
            axis.values
        };
        let mut known: HashMap<String, Span> = HashMap::new();
        for value in values {
            if let Some(first) = known.get(&value.inline()) {
                let message = format!(
                    "the grid lists {} twice for `{}`",
                    brief(&value.inline()),
                    brief(&axis.path)
                );
                let fault = Diagnostic::error(message).at(value.span, "expected another value");
                faults.push(fault.also(*first, "first listed here"));
            } else {
                known.insert(value.inline(), value.span);
            }
        }
    }
    axes
}

/// Unquoted dotted keys arrive as nested tables and mean the same.
fn collect_axes<'n>(entry: &'n Entry, prefix: &str, axes: &mut Vec<Axis<'n>>, faults: &mut Vec<Diagnostic>) {
    let dot = if prefix.is_empty() { "" } else { "." };
    let path = format!("{prefix}{dot}{}", entry.key);
    match &entry.node.value {
        Value::Table(entries) => entries
            .iter()
            .for_each(|entry| collect_axes(entry, &path, axes, faults)),
        Value::Array(values) if !values.is_empty() => axes.push(Axis {
            path,
            key_span: entry.key_span,
            values,
        }),
        Value::Array(_) => {
            let fault = Diagnostic::error(format!("the grid has no values for `{}`", brief(&path)));
            faults.push(fault.at(entry.node.span, "expected at least one value"));
        }
        _ => {
            let fault = Diagnostic::error(format!("the grid has {} for `{}`", entry.node.words(), brief(&path)));
            let fault = fault.at(entry.node.span, "expected a list of values");
            faults.push(fault.help(format!(
                "write a list: `\"{path}\" = [{}]`",
                brief(&entry.node.inline())
            )));
        }
    }
}

/// The axes of an override laid over those of the file: an axis of the same path is replaced.
pub(super) fn merge(grid: &mut Node, change: &Node) {
    fn flat(node: &Node, prefix: &str, axes: &mut Vec<Entry>) {
        for entry in node.entries().unwrap_or_default() {
            let dot = if prefix.is_empty() { "" } else { "." };
            let key = format!("{prefix}{dot}{}", entry.key);
            match entry.node.entries() {
                Some(entries) if !entries.is_empty() => flat(&entry.node, &key, axes),
                _ => axes.push(Entry { key, ..entry.clone() }),
            }
        }
    }
    if grid.entries().is_none() || change.entries().is_none() {
        *grid = change.clone();
        return;
    }
    let (mut axes, mut changes) = (Vec::new(), Vec::new());
    flat(grid, "", &mut axes);
    flat(change, "", &mut changes);
    for change in changes {
        match axes.iter_mut().find(|axis| axis.key == change.key) {
            Some(axis) => *axis = change,
            None => axes.push(change),
        }
    }
    grid.value = Value::Table(axes);
}
