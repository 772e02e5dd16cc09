//! What an experiment compares: its `[[variant]]` patches times the points of its `[grid]`.
//!
//! A grid key is a dotted path in quotes with a list of values. A point is named after its values, after the name of
//! its variant if there is one: `exact · learning_rate=0.001`.

use std::collections::HashMap;

use super::diagnostic::{Diagnostic, brief};
use super::grid;
use super::merge;
use super::shape::Shape;
use super::suggestion::closest;
use super::tree::{Entry, Node, Span, Value};

/// Stands between the parts of a variant's name.
const SEPARATOR: &str = " · ";

/// More rows of a comparison than this are taken for a mistake.
pub const MOST_ROWS: usize = 10_000;

/// The longest name, in characters.
pub const LONGEST_NAME: usize = 200;

/// One thing to compare: the patches that make it from the file, laid over in order.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Its name; empty if the file has neither variants nor a grid.
    pub name: String,
    /// The part of the name that is the point of the grid; empty without a grid.
    pub point: String,
    /// Its patches.
    pub patches: Vec<Patch>,
}

/// Keys that a variant or a point of the grid changes.
#[derive(Clone, Debug)]
pub struct Patch {
    /// The keys with their values.
    pub node: Node,
    /// Who changes them.
    pub origin: Origin,
}

/// Where a patch comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The variant of this name.
    Variant(String),
    /// The axis of the grid with this path.
    Axis(String),
}

/// The context for reading `variant` and `grid`.
pub struct Rules<'a> {
    /// Keys of the whole file, which cannot be varied.
    pub file_keys: &'a [&'a str],
    /// The overrides of single variants: tables by the variant's name.
    pub targeted: &'a [Entry],
    /// The spec that the patches change.
    pub shape: &'a Shape<'a>,
}

/// Reads `variant` and `grid`; no plan where they make too many rows.
pub fn read(variant: Option<&Entry>, grid: Option<&Entry>, rules: &Rules, faults: &mut Vec<Diagnostic>) -> Vec<Plan> {
    let variants = match variant {
        Some(entry) => read_variants(entry, rules, faults),
        None => {
            for target in rules.targeted {
                let message = format!("there is no variant {:?}: the file has no variants", brief(&target.key));
                let fault = Diagnostic::error(message).at(target.key_span, "expected the name of a variant");
                faults.push(fault.help("name the key alone: --set model.components=8"));
            }
            vec![Plan::default()]
        }
    };
    let mut axes = grid.map_or_else(Vec::new, |entry| grid::read_axes(entry, rules.file_keys, faults));
    axes.retain(|axis| !rules.file_keys.contains(&axis.segments()[0]));
    let rows = axes
        .iter()
        .fold(variants.len(), |rows, axis| rows.saturating_mul(axis.values.len()));
    if rows > MOST_ROWS {
        let span = grid
            .filter(|_| variants.len() <= MOST_ROWS)
            .or(variant)
            .map_or_else(Span::default, |entry| entry.key_span);
        let message = format!("the variants and the grid make {rows} rows");
        let fault = Diagnostic::error(message).at(span, format!("expected at most {MOST_ROWS} rows"));
        faults.push(fault.help("list fewer values, or split the file"));
        return Vec::new();
    }
    let points = axes.iter().fold(vec![Plan::default()], |points, axis| {
        product(&points, &axis.plans(&axes))
    });
    product(&variants, &points)
}

/// All pairs of a first and a second; the first varies slowest.
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

fn read_variants(entry: &Entry, rules: &Rules, faults: &mut Vec<Diagnostic>) -> Vec<Plan> {
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
    if items.len() > MOST_ROWS {
        let fault = Diagnostic::error(format!("there are {} variants", items.len()));
        faults.push(
            fault
                .at(entry.key_span, format!("expected at most {MOST_ROWS}"))
                .help("split the file"),
        );
        return Vec::new();
    }
    let mut names: HashMap<&str, Span> = HashMap::new();
    let mut plans = Vec::new();
    for item in items {
        let Some(mut node) = read_patch(item, rules.file_keys, faults) else {
            continue;
        };
        // Without a name the patch is still worth checking.
        let name = read_name(item, faults);
        let written = name.map_or("", |(name, _)| name);
        let mut shown = written.to_owned();
        for target in rules.targeted.iter().filter(|target| target.key == written) {
            shown = change_variant(&mut node, &shown, target, rules, faults);
        }
        plans.push(Plan {
            name: shown,
            point: String::new(),
            patches: vec![Patch {
                node,
                origin: Origin::Variant(written.to_owned()),
            }],
        });
        if let Some((text, span)) = name {
            if let Some(first) = names.get(text) {
                let fault = Diagnostic::error(format!("two variants are named {:?}", brief(text)));
                faults.push(fault.at(span, "expected another name").also(*first, "first used here"));
            } else {
                names.insert(text, span);
            }
        }
    }
    for target in rules
        .targeted
        .iter()
        .filter(|target| !names.contains_key(target.key.as_str()))
    {
        faults.push(unknown_variant(target, &plans));
    }
    refuse_equal_names(&plans, rules.targeted, faults);
    plans
}

/// An override of a variant that the file does not have.
fn unknown_variant(target: &Entry, plans: &[Plan]) -> Diagnostic {
    let names = || {
        plans
            .iter()
            .flat_map(|plan| &plan.patches)
            .filter_map(|patch| match &patch.origin {
                Origin::Variant(name) => Some(name.as_str()),
                Origin::Axis(_) => None,
            })
    };
    let lower = target.key.to_lowercase();
    let row = names().find(|name| target.key.starts_with(&format!("{name}{SEPARATOR}")));
    let near = names()
        .find(|name| name.to_lowercase() == lower)
        .or_else(|| closest(&target.key, names()));
    let fault = Diagnostic::error(format!("there is no variant {:?}", brief(&target.key)));
    fault
        .at(target.key_span, "expected the name of a variant")
        .help(match (row, near) {
            (Some(name), _) => format!(
                "{:?} is the variant; the rest of the row's name is a point of the grid",
                brief(name)
            ),
            (None, Some(name)) => format!("did you mean {:?}?", brief(name)),
            (None, None) => format!("the variants are: {}", quoted_names(names())),
        })
}

/// Lays an override over the patch of one variant and returns the variant's name: the one that the override gives it,
/// or the present name with the changed keys, so that the name of each row matches its spec.
fn change_variant(node: &mut Node, name: &str, target: &Entry, rules: &Rules, faults: &mut Vec<Diagnostic>) -> String {
    if target.node.entries().is_none() {
        let message = format!(
            "the override gives the variant {:?} {}, not keys",
            brief(&target.key),
            target.node.words()
        );
        let fault = Diagnostic::error(message).at(target.node.span, "expected a key and its value");
        faults.push(fault.help(format!(
            "write {}",
            set_of_variant(&target.key, "model.components", "8")
        )));
        return name.to_owned();
    }
    let renamed = target.node.get("name").is_some();
    let new_name = renamed.then(|| read_name(&target.node, faults)).flatten();
    let Some(change) = read_patch(&target.node, rules.file_keys, faults) else {
        return name.to_owned();
    };
    merge::apply(node, &change, Some(rules.shape));
    if let Some((new_name, _)) = new_name {
        return new_name.to_owned();
    }
    let leaves = change.paths();
    let last = |path: &[String]| path.last().cloned().unwrap_or_default();
    let mut shown = name.to_owned();
    for leaf in &leaves {
        let alone = leaves
            .iter()
            .filter(|other| last(&other.path) == last(&leaf.path))
            .count()
            == 1;
        let label = if alone { last(&leaf.path) } else { leaf.path.join(".") };
        shown = format!("{shown}{SEPARATOR}{label}={}", label_of(leaf.node));
    }
    shown
}

/// Overrides may give two variants one name.
fn refuse_equal_names(plans: &[Plan], targeted: &[Entry], faults: &mut Vec<Diagnostic>) {
    for target in targeted {
        let Some(name) = target.node.get("name") else { continue };
        let same = plans
            .iter()
            .filter(|plan| Some(plan.name.as_str()) == name.as_str())
            .count();
        if same > 1 {
            let text = brief(name.as_str().unwrap_or_default());
            let fault = Diagnostic::error(format!("two variants are named {text:?}"));
            faults.push(fault.at(name.span, "expected another name"));
        }
    }
}

/// `--set 'variant."NAME".KEY = VALUE'`, quoted for TOML and for the shell.
pub fn set_of_variant(name: &str, key: &str, value: &str) -> String {
    set(&format!("variant.{}.{key} = {value}", quoted(name)))
}

/// `--set 'grid."KEY" = [VALUE]'`, quoted for TOML and for the shell.
pub fn set_of_axis(path: &str, value: &str) -> String {
    set(&format!("grid.{} = [{value}]", quoted(path)))
}

fn set(text: &str) -> String {
    format!("--set '{}'", text.replace('\'', r"'\''"))
}

/// A key in TOML's double quotes.
fn quoted(key: &str) -> String {
    format!("\"{}\"", key.replace('\\', r"\\").replace('"', "\\\""))
}

/// Names in quotes: all of a few, the first of many.
pub fn quoted_names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 6;
    let names: Vec<String> = names.map(|name| format!("{:?}", brief(name))).collect();
    match names.len() {
        0..=SHOWN => names.join(", "),
        count => format!("{} and {} more", names[..SHOWN - 1].join(", "), count - SHOWN + 1),
    }
}

/// A value as part of a row's name.
pub(super) fn label_of(value: &Node) -> String {
    brief(&value.as_str().map_or_else(|| value.inline(), str::to_owned))
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
        let fault = Diagnostic::error("the name of a variant is empty, has line breaks, or is too long");
        faults.push(fault.at(
            name.span,
            format!("expected text on one line, at most {LONGEST_NAME} characters"),
        ));
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
            let fault = Diagnostic::error(format!("a variant cannot change `{}`", brief(&entry.key)));
            let fault = fault.at(entry.key_span, "belongs to the whole file");
            faults.push(fault.help("variants share it, so that they are compared on equal terms"));
        } else {
            patch.push(entry.clone());
        }
    }
    let value = Value::Table(patch);
    Some(Node { span: item.span, value })
}

/// Whether a text can name something: on one line, not blank, and not too long.
pub fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && !text.chars().any(char::is_control) && text.chars().count() <= LONGEST_NAME
}
