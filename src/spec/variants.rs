//! What an experiment compares: its `[[variant]]` patches times the points of its `[grid]`.
//!
//! A grid key is a dotted path in quotes with a list of values. A point is named after its values, behind the name of
//! its variant if there is one: `exact · learning_rate=0.001`.

use super::diagnostic::Diagnostic;
use super::merge;
use super::tree::{Entry, Node, Span, Value};

/// Stands between the parts of a variant's name.
const SEPARATOR: &str = " · ";

/// One thing to compare: the patches that make it from the file, laid over in order.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Its name; empty if the file has neither variants nor a grid.
    pub name: String,
    /// The part of the name that is the point of the grid; empty without a grid.
    pub point: String,
    /// Its patches.
    pub patches: Vec<Node>,
}

/// Reads `variant` and `grid`. Keys that belong to the whole file (`file_keys`) cannot be varied, and an axis for
/// which `overridden` holds is dropped: an override leaves it nothing to vary.
pub fn read(
    variant: Option<&Entry>,
    grid: Option<&Entry>,
    file_keys: &[&str],
    overridden: impl Fn(&[&str]) -> bool,
    faults: &mut Vec<Diagnostic>,
) -> Vec<Plan> {
    let variants = variant.map_or_else(
        || vec![Plan::default()],
        |entry| read_variants(entry, file_keys, faults),
    );
    let mut axes = grid.map_or_else(Vec::new, |entry| read_axes(entry, file_keys, faults));
    axes.retain(|axis| !overridden(&axis.segments()) && !file_keys.contains(&axis.segments()[0]));
    let points = axes.iter().fold(vec![Plan::default()], |points, axis| {
        product(&points, &axis.plans(&axes))
    });
    product(&variants, &points)
}

/// Every first with every second, the first varying slowest.
fn product(first: &[Plan], second: &[Plan]) -> Vec<Plan> {
    let join = |a: &Plan, b: &Plan| {
        let joined = |names: [&str; 2]| {
            let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
            names.join(SEPARATOR)
        };
        Plan {
            name: joined([&a.name, &b.name]),
            point: joined([&a.point, &b.point]),
            patches: [a.patches.clone(), b.patches.clone()].concat(),
        }
    };
    first
        .iter()
        .flat_map(|a| second.iter().map(move |b| join(a, b)))
        .collect()
}

fn read_variants(entry: &Entry, file_keys: &[&str], faults: &mut Vec<Diagnostic>) -> Vec<Plan> {
    let Value::Array(items) = &entry.node.value else {
        let message = format!("`variant` is {}, not a list of tables", entry.node.words());
        let fault = Diagnostic::error(message).at(entry.node.span, "expected [[variant]]");
        faults.push(fault.help("write each variant under its own header [[variant]], in double brackets"));
        return Vec::new();
    };
    if items.is_empty() {
        let fault = Diagnostic::error("the list of variants is empty").at(entry.node.span, "expected a variant");
        faults.push(fault.help("remove `variant`: then the file itself is the one variant"));
    }
    let mut names: Vec<(&str, Span)> = Vec::new();
    let mut plans = Vec::new();
    for item in items {
        let Some(patch) = read_patch(item, file_keys, faults) else {
            continue;
        };
        // Without a name the patch is still worth checking.
        let name = read_name(item, faults);
        plans.push(Plan {
            name: name.map_or("", |(name, _)| name).to_owned(),
            point: String::new(),
            patches: vec![patch],
        });
        if let Some((text, span)) = name {
            if let Some((_, first)) = names.iter().find(|(known, _)| *known == text) {
                let fault = Diagnostic::error(format!("two variants are named {text:?}"));
                faults.push(fault.at(span, "expected another name").also(*first, "first used here"));
            }
            names.push((text, span));
        }
    }
    plans
}

fn read_name<'n>(item: &'n Node, faults: &mut Vec<Diagnostic>) -> Option<(&'n str, Span)> {
    let Some(name) = item.get("name") else {
        let fault = Diagnostic::error("a variant has no name").at(item.span, "expected a key `name`");
        faults.push(fault.help("add `name = \"...\"`: it labels tables and figures"));
        return None;
    };
    let Some(text) = name.as_str() else {
        let message = format!("the name of a variant is {}, not text", name.words());
        faults.push(Diagnostic::error(message).at(name.span, "expected text in quotes"));
        return None;
    };
    if !is_name(text) {
        let fault = Diagnostic::error("the name of a variant is empty or has line breaks");
        faults.push(fault.at(name.span, "expected text on one line"));
    }
    Some((text, name.span))
}

/// All keys but the name.
fn read_patch(item: &Node, file_keys: &[&str], faults: &mut Vec<Diagnostic>) -> Option<Node> {
    let Some(entries) = item.entries() else {
        let message = format!("a variant is {}, not a table", item.words());
        faults.push(Diagnostic::error(message).at(item.span, "expected a table with a `name`"));
        return None;
    };
    let mut patch = Vec::new();
    for entry in entries.iter().filter(|entry| entry.key != "name") {
        if file_keys.contains(&entry.key.as_str()) {
            let fault = Diagnostic::error(format!("a variant cannot change `{}`", entry.key));
            let fault = fault.at(entry.key_span, "belongs to the whole file");
            faults.push(fault.help("variants share it, so that they are compared on equal terms"));
        } else {
            patch.push(entry.clone());
        }
    }
    let value = Value::Table(patch);
    Some(Node { span: item.span, value })
}

/// Whether a text can name something: on one line, and not blank.
pub fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && !text.chars().any(char::is_control)
}

/// One key of the grid with its values.
struct Axis<'n> {
    path: String,
    key_span: Span,
    values: &'n [Node],
}

impl Axis<'_> {
    fn segments(&self) -> Vec<&str> {
        self.path.split('.').collect()
    }

    /// The last key alone if that says which axis is meant, else the whole path.
    fn label(&self, axes: &[Axis]) -> &str {
        let last = |path: &str| path.rsplit('.').next().map(str::to_owned);
        let unique = axes.iter().filter(|axis| last(&axis.path) == last(&self.path)).count() == 1;
        let short = self.path.rsplit('.').next().unwrap_or(&self.path);
        if unique { short } else { &self.path }
    }

    fn plans(&self, axes: &[Axis]) -> Vec<Plan> {
        let plan = |value: &Node| {
            let text = value.as_str().map_or_else(|| value.inline(), str::to_owned);
            let point = format!("{}={text}", self.label(axes));
            Plan {
                name: point.clone(),
                point,
                patches: vec![merge::nested(&self.segments(), self.key_span, value.clone())],
            }
        };
        self.values.iter().map(plan).collect()
    }
}

fn read_axes<'n>(grid: &'n Entry, file_keys: &[&str], faults: &mut Vec<Diagnostic>) -> Vec<Axis<'n>> {
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
            let fault = Diagnostic::error(format!("the grid has `{}` twice", axis.path));
            faults.push(
                fault
                    .at(axis.key_span, "expected another key")
                    .also(first.key_span, "first used here"),
            );
        }
        if axis.path.split('.').any(|segment| segment.trim().is_empty()) {
            let fault = Diagnostic::error(format!("the grid key {:?} has an empty part", axis.path));
            faults.push(fault.at(axis.key_span, "expected a dotted path such as \"model.components\""));
        }
        if let Some(key) = axis.path.split('.').next().filter(|key| file_keys.contains(key)) {
            let fault = Diagnostic::error(format!("the grid cannot vary `{key}`"));
            faults.push(fault.at(axis.key_span, "belongs to the whole file"));
        }
        for (place, value) in axis.values.iter().enumerate() {
            let same = |other: &&Node| other.to_toml() == value.to_toml();
            if let Some(first) = axis.values[..place].iter().find(same) {
                let fault = Diagnostic::error(format!("the grid lists {} twice for `{}`", value.inline(), axis.path));
                faults.push(
                    fault
                        .at(value.span, "expected another value")
                        .also(first.span, "first listed here"),
                );
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
            let fault = Diagnostic::error(format!("the grid has no values for `{path}`"));
            faults.push(fault.at(entry.node.span, "expected at least one value"));
        }
        _ => {
            let fault = Diagnostic::error(format!("the grid has {} for `{path}`", entry.node.words()));
            let fault = fault.at(entry.node.span, "expected a list of values");
            faults.push(fault.help(format!("write a list: `\"{path}\" = [{}]`", entry.node.inline())));
        }
    }
}
