//! Loads an experiment file: parse, lay variants, grid and overrides over it, check, and type every variant.
//!
//! An override holds for the file and again, last, for each variant, so that it wins over both. All faults are
//! collected; a fault that several variants share is reported once.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use super::check::check;
use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::seeds::{Seeds, SeedsError};
use super::shape::Shape;
use super::tree::{self, Node, Sources, Value, locate};
use super::variants::{self, Plan};
use super::{merge, resolve};
use crate::error::Fault;

/// Keys that belong to the whole file; all others are the spec's.
pub const FILE_KEYS: [&str; 5] = ["name", "question", "seeds", "variant", "grid"];

/// The keys of the whole file, without `variant` and `grid`.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct Header {
    /// The experiment's name; the file's stem unless given.
    #[schemars(length(min = 1))]
    name: Option<String>,
    /// The one question that the experiment answers.
    #[schemars(length(min = 1))]
    question: String,
    seeds: Seeds,
}

/// An experiment: one question, the seeds, and what is compared. `T` is the spec of one variant.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The file's stem unless `name` is given.
    pub name: String,
    /// The one question that the experiment answers.
    pub question: String,
    /// The seeds, common to all variants.
    pub seeds: Vec<u64>,
    /// The seeds that the file itself names, whatever an override says.
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
    match read(path) {
        Ok(text) => sources.add(name, text),
        Err(fault) => {
            let list = vec![*fault];
            return Err(Diagnostics { sources, list });
        }
    };
    for (index, text) in overrides.iter().enumerate() {
        sources.add(format!("--set #{}", index + 1), text);
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

fn read(path: &Path) -> Result<String, Box<Diagnostic>> {
    let shown = path.display();
    let refuse = |message: String, help: &str| Box::new(Diagnostic::error(message).help(help));
    if path.is_dir() {
        return Err(refuse(
            format!("{shown} is a folder"),
            "name the experiment file in it, which ends in .toml",
        ));
    }
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => refuse(
            format!("there is no file {shown}"),
            "paths are relative to the folder you are in",
        ),
        _ => refuse(
            format!("{shown} cannot be read: {error}"),
            "check the permissions of the file",
        ),
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        refuse(
            format!("{shown} is not UTF-8 text: line {line} has other bytes"),
            "save the file as UTF-8",
        )
    })
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
        let file_seeds = header.get("seeds").and_then(|node| read_seeds(node).ok());
        for piece in &overrides {
            merge::apply(&mut header, &piece.header, None);
            merge::apply(&mut base, &piece.spec, Some(&shape));
        }
        let seeds = self.check_header(&header);
        let overridden = |path: &[&str]| overrides.iter().any(|piece| has(&piece.spec, path));
        let (variant, grid) = (header.entry("variant"), header.entry("grid"));
        let plans = variants::read(variant, grid, &FILE_KEYS, overridden, &mut self.faults);
        if plans.iter().any(|plan| !plan.patches.is_empty()) {
            self.faults.extend(check(&base, &shape, &FILE_KEYS, true));
        }
        let text = |key| header.get(key).and_then(Node::as_str).map(str::to_owned);
        let name = text("name").unwrap_or(stem);
        let patches: Vec<&Node> = overrides.iter().map(|piece| &piece.spec).collect();
        let variants = self.variants(&name, &plans, &base, &patches, &shape, semantic);
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
            let (root, faults) = tree::parse(&self.sources, source);
            self.faults.extend(faults);
            if root.entries().is_some_and(<[_]>::is_empty) {
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
        for piece in &pieces[1..] {
            if let Some(entry) = piece.header.entry("variant") {
                let fault = Diagnostic::error("an override cannot change the list of variants");
                self.faults
                    .push(fault.at(entry.key_span, "belongs to the file").help("edit the file"));
            }
        }
        let file = pieces.remove(0);
        self.faults.is_empty().then_some((file, pieces))
    }

    fn check_header(&mut self, header: &Node) -> Option<Seeds> {
        let schema = schemars::schema_for!(Header).to_value();
        let own = entries_where(header, |key| !matches!(key, "variant" | "grid"));
        let mut faults = check(&own, &Shape::new(&schema, &schema), &[], false);
        let seeds = header.get("seeds");
        // What is wrong with written seeds is said better below.
        faults.retain(|fault| !seeds.is_some_and(|node| within(fault, node)));
        self.faults.extend(faults);
        if let Some(name) = header.get("name")
            && name
                .as_str()
                .is_some_and(|name| !name.is_empty() && !variants::is_name(name))
        {
            let fault = Diagnostic::error("the experiment's name is blank or has line breaks");
            self.faults.push(fault.at(name.span, "expected text on one line"));
        }
        let node = seeds?;
        read_seeds(node)
            .map_err(|error| self.faults.push(seeds_fault(node, error)))
            .ok()
    }

    fn variants<T: DeserializeOwned>(
        &mut self,
        experiment: &str,
        plans: &[Plan],
        base: &Node,
        overrides: &[&Node],
        shape: &Shape,
        semantic: impl Fn(&T) -> Vec<Fault>,
    ) -> Vec<Variant<T>> {
        let mut found: Vec<(Diagnostic, Vec<&str>)> = Vec::new();
        let mut unused: Vec<Diagnostic> = Vec::new(); // at keys that the variants share
        let mut variants = Vec::new();
        for plan in plans {
            let mut tree = base.clone();
            for patch in plan.patches.iter().chain(overrides.iter().copied()) {
                merge::apply(&mut tree, patch, Some(shape));
            }
            let mut faults = check(&tree, shape, &FILE_KEYS, false);
            if faults.is_empty() {
                match T::deserialize(tree.to_toml()) {
                    Ok(spec) => {
                        faults.extend(semantic(&spec).into_iter().map(|fault| {
                            let span = locate(&tree, &fault.key);
                            let is_shared = fault.is_unused && span == locate(base, &fault.key);
                            let fault = Diagnostic::of(fault, span);
                            if is_shared {
                                unused.push(fault.clone());
                            }
                            fault
                        }));
                        variants.push(Variant {
                            name: if plan.name.is_empty() { experiment } else { &plan.name }.to_owned(),
                            point: plan.point.clone(),
                            spec,
                            changes: plan.patches.iter().flat_map(Node::leaves).collect(),
                            tree,
                        });
                    }
                    Err(error) => faults.push(typing_fault(&tree, &error)),
                }
            }
            for fault in faults {
                match found.iter_mut().find(|(known, _)| *known == fault) {
                    Some((_, names)) => names.push(&plan.name),
                    None => found.push((fault, vec![&plan.name])),
                }
            }
        }
        for (mut fault, names) in found {
            // A shared key that acts in some variants is no fault of the others.
            let acts_elsewhere = unused.contains(&fault) && names.len() < plans.len();
            if acts_elsewhere || self.faults.contains(&fault) {
                continue;
            }
            if names.len() < plans.len() {
                let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
                fault.note = Some(format!(
                    "in the variant{} {}",
                    if names.len() == 1 { "" } else { "s" },
                    names.join(", ")
                ));
            }
            self.faults.push(fault);
        }
        variants
    }

    /// Two variants with one spec would be compared with themselves.
    fn warn_about_twins<T: Serialize>(&mut self, variants: &[Variant<T>]) {
        let mut seen: Vec<(String, &str)> = Vec::new();
        for variant in variants {
            let Ok(hash) = resolve::hash(&variant.spec) else {
                continue;
            };
            match seen.iter().find(|(known, _)| *known == hash) {
                Some((_, first)) => {
                    let message = format!("the variants {first:?} and {:?} have the same spec", variant.name);
                    self.faults.push(
                        Diagnostic::error(message)
                            .warning()
                            .help("remove one, or see what it should change"),
                    );
                }
                None => seen.push((hash, &variant.name)),
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

fn has(node: &Node, path: &[&str]) -> bool {
    match path {
        [] => true,
        [key, rest @ ..] => node.get(key).is_some_and(|inner| has(inner, rest)),
    }
}

fn within(fault: &Diagnostic, node: &Node) -> bool {
    fault.span.is_some_and(|span| {
        span.source == node.span.source && span.start >= node.span.start && span.end <= node.span.end
    })
}

fn read_seeds(node: &Node) -> Result<Seeds, SeedsError> {
    let refuse = |message: String, places| SeedsError { message, places };
    match &node.value {
        Value::Integer(n) => Seeds::count(*n),
        Value::String(text) => text.parse(),
        Value::Array(items) => {
            let number = |(place, item): (usize, &Node)| match item.value {
                Value::Integer(seed) => Ok(seed),
                _ => Err(refuse(
                    format!("a seed is {}, not a whole number", item.words()),
                    Some((place, place)),
                )),
            };
            let seeds: Result<Vec<i64>, _> = items.iter().enumerate().map(number).collect();
            Seeds::list(&seeds?)
        }
        _ => Err(refuse(
            format!("`seeds` is {}, not a number, range or list", node.words()),
            None,
        )),
    }
}

fn seeds_fault(node: &Node, error: SeedsError) -> Diagnostic {
    let items = match &node.value {
        Value::Array(items) => items.as_slice(),
        _ => &[],
    };
    let fault = Diagnostic::error(error.message);
    let fault = match error
        .places
        .and_then(|(first, second)| Some((items.get(first)?, items.get(second)?)))
    {
        Some((first, second)) if first.span != second.span => fault
            .at(second.span, "expected another seed")
            .also(first.span, "first listed here"),
        Some((_, only)) => fault.at(only.span, "expected a whole number of at least 0"),
        None => fault.at(node.span, "expected seeds"),
    };
    fault.help("write `10` for 0 to 9, `\"20..30\"` for 20 to 29, or a list such as `[3, 5, 8]`")
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
