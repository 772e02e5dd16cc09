//! Loads an experiment file: parse, lay variants, grid and overrides over it, check, and type every variant.
//!
//! The layers of a row are, in this order: the file, the overrides, the row's variant, its point of the grid. A later
//! layer that sets a key of an override or of a variant is a fault (see `conflicts`), so that every row is what its
//! name says. All faults are collected; a fault that several variants share is reported once.

use std::collections::HashMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use super::check::check;
use super::conflicts::Conflicts;
use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::shape::Shape;
use super::shared::Shared;
use super::tree::{self, Entry, Leaf, Node, Sources, Value, locate};
use super::variants::{self, Plan, Rules};
use super::{grid, header, merge, overrides, resolve, text};
use crate::error::Fault;

/// Keys that belong to the whole file; all others are the spec's.
pub const FILE_KEYS: [&str; 5] = ["name", "question", "seeds", "variant", "grid"];

/// The beginning of the override that `--seeds` stands for.
pub const SEEDS_OVERRIDE: &str = "seeds = ";

/// More runs than this are taken for a mistake.
const MOST_RUNS: usize = 100_000;

/// An experiment: one question, the seeds, and what is compared. `T` is the spec of one variant.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The file's stem unless `name` is given.
    pub name: String,
    /// The one question that the experiment answers.
    pub question: String,
    /// The seeds, common to all variants.
    pub seeds: Vec<u64>,
    /// The seeds that the file itself names, without overrides.
    pub file_seeds: Vec<u64>,
    /// What is compared, at least one.
    pub variants: Vec<Variant<T>>,
    /// What the file says that was probably not meant.
    pub warnings: Diagnostics,
}

/// One of the things compared.
#[derive(Clone, Debug)]
pub struct Variant<T> {
    /// Its name; the experiment's where the file has neither variants nor a grid.
    pub name: String,
    /// The part of the name that is the point of the grid; empty without a grid.
    pub point: String,
    /// Its checked spec.
    pub spec: T,
    /// What its patches say, as `path = value`.
    pub changes: Vec<String>,
    /// Its merged tree, for faults that show up later.
    pub tree: Node,
}

/// Loads a file with its overrides, each a piece of TOML. `check` finds the faults of a spec that no schema can
/// express; it is given the folder of the file, to which paths in the file are relative.
pub fn load<T: JsonSchema + DeserializeOwned + Serialize>(
    path: &Path,
    overrides: &[String],
    check: impl Fn(&T, &Path) -> Vec<Fault>,
) -> Result<Loaded<T>, Diagnostics> {
    let name = path.display().to_string();
    let mut sources = Sources::default();
    match text::read(path) {
        Ok(text) => sources.add(name, text),
        Err(fault) => {
            let list = vec![*fault];
            return Err(Diagnostics { sources, list });
        }
    };
    for (index, text) in overrides.iter().enumerate() {
        let name = match text.starts_with(SEEDS_OVERRIDE) {
            true => "--seeds".to_owned(),
            false => format!("--set #{}", index + 1),
        };
        sources.add(name, text);
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let stem = path
        .file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let mut loader = Loader {
        sources,
        faults: Vec::new(),
    };
    let loaded = loader.load(stem, |spec| check(spec, folder));
    let (errors, warnings): (Vec<_>, Vec<_>) = loader.sorted().partition(|fault| fault.severity == Severity::Error);
    let diagnostics = |list| Diagnostics {
        sources: loader.sources.clone(),
        list,
    };
    match loaded {
        Some(loaded) if errors.is_empty() => Ok(Loaded {
            warnings: diagnostics(warnings),
            ..loaded
        }),
        _ => Err(diagnostics([errors, warnings].concat())),
    }
}

/// The faults found so far, with the texts they point into: source 0 is the file, the others the overrides.
struct Loader {
    sources: Sources,
    faults: Vec<Diagnostic>,
}

impl Loader {
    fn load<T: JsonSchema + DeserializeOwned + Serialize>(
        &mut self,
        stem: String,
        semantic: impl Fn(&T) -> Vec<Fault>,
    ) -> Option<Loaded<T>> {
        let schema = schemars::schema_for!(T).to_value();
        let shape = Shape::new(&schema, &schema);
        let (file, overrides) = self.parse(&shape)?;
        let (mut header, mut base) = (file.header, file.spec);
        let file_seeds = header.get("seeds").and_then(|node| header::read_seeds(node).ok());
        assume_kinds(&mut base, &shape);
        let mut targeted: Vec<Entry> = Vec::new();
        for piece in &overrides {
            self.override_header(&mut header, &piece.header, &mut targeted);
            merge::apply(&mut base, &piece.spec, Some(&shape));
        }
        let seeds = header::check(&header, &mut self.faults);
        let (variant, grid) = (header.entry("variant"), header.entry("grid"));
        let rules = Rules {
            file_keys: &FILE_KEYS,
            targeted: &targeted,
            shape: &shape,
        };
        let plans = variants::read(variant, grid, &rules, &mut self.faults);
        if plans.iter().any(|plan| !plan.patches.is_empty()) {
            self.faults.extend(check(&base, &shape, &FILE_KEYS, true));
        }
        if let (Some(seeds), Some(entry)) = (&seeds, header.entry("seeds")) {
            let runs = seeds.as_slice().len() * plans.len();
            if runs > MOST_RUNS {
                let fault = Diagnostic::error(format!("the seeds and variants make {runs} runs"));
                let fault = fault.at(entry.node.span, format!("expected at most {MOST_RUNS} runs"));
                self.faults
                    .push(fault.help("take fewer seeds, variants or values of the grid"));
            }
        }
        let text = |key| header.get(key).and_then(Node::as_str).map(str::to_owned);
        let name = text("name").unwrap_or(stem);
        let variants = self.variants(&name, &plans, &base, &shape, semantic);
        if self.faults.is_empty() {
            self.warn_about_twins(&variants);
        }
        Some(Loaded {
            name,
            question: text("question")?,
            seeds: seeds?.as_slice().to_vec(),
            file_seeds: file_seeds.map_or_else(Vec::new, |seeds| seeds.as_slice().to_vec()),
            variants,
            warnings: Diagnostics::default(),
        })
    }

    /// The file and the overrides; `None` if one of them is not TOML.
    fn parse(&mut self, shape: &Shape) -> Option<(Piece, Vec<Piece>)> {
        let count = self.sources.len();
        let mut pieces = Vec::with_capacity(count);
        for source in 0..count {
            let (root, faults) = match source {
                0 => tree::parse(&self.sources, source),
                _ => overrides::parse(&self.sources, source),
            };
            let is_whole = faults.is_empty();
            self.faults
                .extend(header::one_for_single_brackets(faults, &self.sources));
            if source > 0 && is_whole {
                self.faults.extend(overrides::empty_tables(&root));
            }
            if is_whole && root.entries().is_some_and(<[_]>::is_empty) {
                let name = self.sources.name(source);
                let fault = Diagnostic::error(format!("{name} is empty")).at(root.span, "expected keys and values");
                let sections: Vec<String> = shape.required().map(|key| format!("[{key}]")).collect();
                self.faults.push(fault.help(match source {
                    0 => format!(
                        "an experiment file has a `question`, `seeds`, and sections {}",
                        sections.join(", ")
                    ),
                    _ => "an override is a piece of TOML such as 'model.components = 8'".into(),
                }));
            }
            pieces.push(Piece::split(&root));
        }
        let file = pieces.remove(0);
        self.faults.is_empty().then_some((file, pieces))
    }

    /// Lays the file's keys of an override over those of the file; collects overrides of single variants.
    fn override_header(&mut self, header: &mut Node, change: &Node, targeted: &mut Vec<Entry>) {
        for entry in change.entries().unwrap_or_default() {
            match (entry.key.as_str(), entry.node.entries(), &mut header.value) {
                ("variant", Some(entries), _) => targeted.extend(entries.iter().cloned()),
                ("variant", None, _) => {
                    let fault = Diagnostic::error("an override cannot change the list of variants");
                    let fault = fault.at(entry.key_span, "belongs to the file");
                    self.faults.push(fault.help(format!(
                        "edit the file; to change one variant: {}",
                        variants::set_of_variant("NAME", "model.components", "8")
                    )));
                }
                ("grid", _, Value::Table(entries)) if entries.iter().any(|known| known.key == "grid") => {
                    let known = entries.iter_mut().filter(|known| known.key == "grid");
                    known.for_each(|grid| grid::merge(&mut grid.node, &entry.node));
                }
                _ => merge::apply(header, &Node::of(entry.clone()), None),
            }
        }
    }

    fn variants<T: DeserializeOwned>(
        &mut self,
        experiment: &str,
        plans: &[Plan],
        base: &Node,
        shape: &Shape,
        semantic: impl Fn(&T) -> Vec<Fault>,
    ) -> Vec<Variant<T>> {
        let mut shared = Shared::default();
        let mut conflicts = Conflicts::new(shape);
        let leaves = base.paths().into_iter();
        let overridden: Vec<Leaf> = leaves.filter(|leaf| leaf.node.span.source > 0).collect();
        let mut variants = Vec::new();
        for plan in plans {
            let tree = conflicts.merge(base, &overridden, plan);
            let mut faults = check(&tree, shape, &FILE_KEYS, false);
            if faults.is_empty() {
                match T::deserialize(tree.to_toml()) {
                    Ok(spec) => {
                        for fault in semantic(&spec) {
                            let span = locate(&tree, &fault.key);
                            let is_shared = fault.is_unused && span == locate(base, &fault.key);
                            let fault = Diagnostic::of(fault, span);
                            if is_shared {
                                shared.unused.push(fault.clone());
                            }
                            faults.push(fault);
                        }
                        variants.push(Variant {
                            name: if plan.name.is_empty() { experiment } else { &plan.name }.to_owned(),
                            spec,
                            point: plan.point.clone(),
                            changes: plan.patches.iter().flat_map(|patch| patch.node.leaves()).collect(),
                            tree,
                        });
                    }
                    Err(error) => faults.push(typing_fault(&tree, &error)),
                }
            }
            for fault in faults {
                if !self.faults.contains(&fault) {
                    shared.add(fault, &plan.name);
                }
            }
        }
        self.faults.extend(shared.faults(plans.len()));
        self.faults.extend(conflicts.faults());
        variants
    }

    /// Two variants with the same spec would be compared with themselves.
    fn warn_about_twins<T: Serialize>(&mut self, variants: &[Variant<T>]) {
        let mut seen: HashMap<String, &str> = HashMap::new();
        for variant in variants {
            let Ok(hash) = resolve::hash(&variant.spec) else {
                continue;
            };
            if let Some(first) = seen.get(&hash) {
                let message = format!("the variants {first:?} and {:?} have the same spec", variant.name);
                self.faults.push(
                    Diagnostic::error(message)
                        .warning()
                        .help("remove one, or see what it should change"),
                );
            } else {
                seen.insert(hash, &variant.name);
            }
        }
    }

    fn sorted(&mut self) -> impl Iterator<Item = Diagnostic> + use<> {
        let mut faults = std::mem::take(&mut self.faults);
        faults.sort_by_key(|fault| fault.span);
        faults.into_iter()
    }
}

/// A parsed text in two tables.
struct Piece {
    /// The keys of the whole file.
    header: Node,
    /// The keys of the spec.
    spec: Node,
}

impl Piece {
    fn split(root: &Node) -> Self {
        let is_own = |key: &str| FILE_KEYS.contains(&key);
        Self {
            header: entries_where(root, is_own),
            spec: entries_where(root, |key| !is_own(key)),
        }
    }
}

fn entries_where(node: &Node, keep: impl Fn(&str) -> bool) -> Node {
    let entries = node
        .entries()
        .unwrap_or_default()
        .iter()
        .filter(|entry| keep(&entry.key));
    Node {
        span: node.span,
        value: Value::Table(entries.cloned().collect()),
    }
}

/// A section that is not written has the kind of its default, so that a variant can change its other keys.
fn assume_kinds(base: &mut Node, shape: &Shape) {
    let span = base.span;
    for (key, schema) in shape.properties() {
        let section = shape.inner(schema);
        let default = section.keyword("default");
        let kind = |tag| default?.get(tag)?.as_str();
        for tagged in &section.tagged {
            let Some(kind) = kind(tagged.tag).filter(|_| base.get(key).is_none()) else {
                continue;
            };
            let entry = |key: &str, node| Entry {
                key: key.to_owned(),
                key_span: span,
                node,
            };
            let value = Value::String(kind.to_owned());
            let section = entry(key, Node::of(entry(tagged.tag, Node { span, value })));
            if let Value::Table(entries) = &mut base.value {
                entries.push(section);
            }
        }
    }
}

/// A value that passed the schema and was still refused, by hand-written deserialisation.
fn typing_fault(tree: &Node, error: &toml::de::Error) -> Diagnostic {
    let text = error.to_string();
    let path = text
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("in `")?.strip_suffix('`'));
    Diagnostic::error(error.message().trim_end()).at(locate(tree, path.unwrap_or("")), "refused here")
}
