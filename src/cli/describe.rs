//! `latent-lab describe [KIND] [NAME]`: what a thing is, its keys, its supported combinations, and an example that
//! runs.

mod combinations;
mod equations;
mod example;
mod page;
mod topics;

use super::kind::{INITIAL_VALUES, Kind};
use super::screen::Screen;
use super::{Stop, list, say};
use crate::data::source::GENERATOR_KEYS;
use crate::environment::EnvironmentKind;
use crate::figure::lecture;
use crate::kind;
use crate::spec::describe::Found;
use crate::spec::suggestion::closest;
use crate::spec::{Spec, describe};
use crate::train::metrics;
use clap::{Args, ValueEnum};
use combinations::Supported;
use page::{Block, Page};

#[derive(Debug, Args)]
pub(super) struct Describe {
    /// A kind, a name, or both, as `list` prints them: `elbo`, `model gaussian`, `training early_stopping`. Without
    /// them, what can be described
    #[arg(value_name = "KIND|NAME")]
    words: Vec<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Describe {
    pub(super) fn execute(&self) -> Result<(), Stop> {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let page = match words.as_slice() {
            [] if self.json => return list::List::all_as_json(),
            [] => {
                say(&list::overview());
                return Ok(());
            }
            [word] => match kind(word) {
                Some(kind) => of_kind(kind),
                None => of_name(word)?,
            },
            [first, rest @ ..] => match kind(first) {
                Some(kind) => of_both(kind, rest)?,
                None => {
                    let kinds: Vec<String> = Kind::value_variants().iter().map(|kind| kind.name()).collect();
                    return Err(unknown(&format!("kind `{first}`"), first, &kinds));
                }
            },
        };
        say(&if self.json {
            list::document(&page.json())
        } else {
            page.text(&Screen::stdout())
        });
        Ok(())
    }
}

fn kind(word: &str) -> Option<Kind> {
    Kind::from_str(word, true).ok()
}

/// The error for an unknown name.
fn unknown(what: &str, written: &str, known: &[String]) -> Stop {
    let nearest = closest(written, known.iter().map(String::as_str));
    let nearest = nearest.map_or(".".to_owned(), |name| format!("; did you mean `{name}`?"));
    Stop::Usage(format!("there is no {what}{nearest} There are: {}", known.join(", ")))
}

/// The description of `word`, of any kind.
fn of_name(word: &str) -> Result<Page, Stop> {
    let kinds = Kind::value_variants().iter().copied();
    let with_name = kinds.filter(|kind| kind.entries().iter().any(|(name, _)| name == word));
    // The keys of a section are found below, where they also say which kinds have them.
    let found: Vec<Kind> = with_name
        .filter(|kind| kind.keys().iter().all(|key| key.name != word))
        .collect();
    if let [kind] = found[..] {
        return Ok(entry(kind, word));
    }
    let mut meanings: Vec<String> = found.iter().map(|kind| format!("{} {word}", kind.name())).collect();
    let mut pages: Vec<Page> = Vec::new();
    if meanings.is_empty() {
        let path: Vec<&str> = word.split('.').collect();
        let tables = describe::file_keys::<Spec>().into_iter().map(|key| key.name);
        for table in tables {
            let path: Vec<&str> = match path.as_slice() {
                [first, ..] if *first == table => path.clone(),
                _ => std::iter::once(table.as_str()).chain(path.iter().copied()).collect(),
            };
            if let Some(page) = key(&path) {
                pages.push(page);
                meanings.push(path.join(" "));
            }
        }
    }
    if meanings.is_empty() {
        if let Some(metric) = metrics::find(word) {
            return Ok(entry(Kind::Metric, &metric.name));
        }
        let kinds = Kind::value_variants().iter();
        let mut known: Vec<String> = kinds.flat_map(|kind| kind.entries()).map(|(name, _)| name).collect();
        known.extend(Kind::value_variants().iter().map(|kind| kind.name()));
        let nearest = closest(word, known.iter().map(String::as_str));
        let nearest = nearest.map_or(String::new(), |name| format!("; did you mean `{name}`?"));
        return Err(Stop::Usage(format!(
            "nothing is called `{word}`{nearest}\n\n`latent-lab list` says what can be described"
        )));
    }
    if pages.len() == 1 {
        return Ok(pages.remove(0));
    }
    let lines: Vec<String> = meanings
        .iter()
        .map(|words| format!("  latent-lab describe {words}"))
        .collect();
    Err(Stop::Usage(format!(
        "`{word}` has several meanings:\n\n{}",
        lines.join("\n")
    )))
}

/// The description of the words after a kind.
fn of_both(kind: Kind, words: &[&str]) -> Result<Page, Stop> {
    let names: Vec<String> = kind.entries().into_iter().map(|(name, _)| name).collect();
    let word = words.join(".");
    let is_key = kind.keys().iter().any(|key| key.name == word);
    if names.contains(&word) && !is_key {
        return Ok(entry(kind, &word));
    }
    if kind == Kind::Experiment
        && let Some(inner) = self::kind(&word).filter(|_| names.contains(&word))
    {
        return Ok(of_kind(inner));
    }
    let path: Vec<&str> = kind.table().into_iter().chain(word.split('.')).collect();
    if let Some(page) = key(&path) {
        return Ok(page);
    }
    if kind == Kind::Metric
        && let Some(metric) = metrics::find(&word)
    {
        return Ok(entry(Kind::Metric, &metric.name));
    }
    Err(unknown(&format!("{} `{word}`", kind.name()), &word, &names))
}

/// A kind with all its names or keys.
fn of_kind(kind: Kind) -> Page {
    let page = Page::new("kind", kind.name()).with("text", Block::Paragraphs(vec![format!("{}.", kind.summary())]));
    let prose = |text: &str, example: &str| {
        Page::new("kind", kind.name())
            .with("text", Block::Paragraphs(vec![text.to_owned()]))
            .with("names", Block::Names(kind.entries()))
            .with("example", Block::Verbatim("An example", example.to_owned()))
    };
    match kind {
        Kind::Variant => prose(topics::VARIANT, topics::VARIANT_EXAMPLE),
        Kind::Grid => prose(topics::GRID, topics::GRID_EXAMPLE),
        Kind::Seeds => prose(topics::SEEDS, topics::SEEDS_EXAMPLE),
        Kind::Evaluation => page.with("keys", Block::Keys(kind.keys())),
        Kind::Training => {
            let keys = |name: &str| {
                let kinds = Kind::Optimizer.descriptions().unwrap_or_default().into_iter();
                let keys = kinds.filter(|kind| kind.name == name).flat_map(|kind| kind.keys);
                Block::Keys(keys.collect())
            };
            let heading = |text: &str| Block::Paragraphs(vec![text.to_owned()]);
            let initial = std::iter::once("Initial values:").chain(topics::INITIAL_VALUES);
            page.with("adam_text", heading("With optimizer = \"adam\":"))
                .with("adam", keys("adam"))
                .with("em_text", heading("With optimizer = \"em\":"))
                .with("em", keys("em"))
                .with(
                    "initial_values",
                    Block::Paragraphs(initial.map(str::to_owned).collect()),
                )
        }
        _ => page.with("names", Block::Names(kind.entries())),
    }
}

/// The key at a path from the root of the file; none if there is none.
fn key(path: &[&str]) -> Option<Page> {
    let mut found = describe::find::<Spec>(path);
    if found.is_empty()
        && let [name] = path
    {
        // Keys of the whole file, such as `question`, are in no variant's settings.
        let keys = describe::file_keys::<Spec>()
            .into_iter()
            .filter(|key| key.name == *name);
        found.extend(keys.map(|key| Found { kinds: Vec::new(), key }));
    }
    if found.is_empty() {
        return None;
    }
    let mut page = Page::new("key", path.join("."));
    for found in found {
        if !found.kinds.is_empty() {
            page = page.with(
                "with",
                Block::Paragraphs(vec![format!("With {}:", found.kinds.join(" or "))]),
            );
        }
        page = page.with("keys", Block::Keys(vec![found.key]));
    }
    Some(page)
}

/// One of the names of a kind.
fn entry(kind: Kind, name: &str) -> Page {
    let page = Page::new(kind.name(), name);
    match kind {
        Kind::Metric => metric(page, name),
        Kind::Figure => figure(page, name),
        Kind::Environment => environment(page, name),
        Kind::Training if name == INITIAL_VALUES => {
            let paragraphs = topics::INITIAL_VALUES.map(str::to_owned);
            page.with("text", Block::Paragraphs(paragraphs.to_vec()))
        }
        Kind::Variant | Kind::Grid | Kind::Seeds => of_kind(kind),
        _ => section(kind, name, page),
    }
}

/// A kind of a section of the experiment file.
fn section(kind: Kind, name: &str, mut page: Page) -> Page {
    let descriptions = kind.descriptions().unwrap_or_default();
    let Some(mut description) = descriptions.into_iter().find(|description| description.name == name) else {
        return page;
    };
    if kind == Kind::Data {
        let has_grid = name != "file" && topics::has_population(name);
        description.keys.retain(|key| match key.name.as_str() {
            "population" => has_grid,
            key => name != "file" || !GENERATOR_KEYS.contains(&key),
        });
    }
    page = page.with("text", Block::Paragraphs(description.paragraphs));
    if kind == Kind::Data {
        page = page.with("columns", Block::Facts(topics::columns(name)));
    }
    if !description.keys.is_empty() {
        page = page.with("keys", Block::Keys(description.keys));
    }
    if let Some(equation) = equations::equation(kind, name) {
        page = page.with("equation", Block::Equation(equation));
    }
    if (kind, name) == (Kind::Optimizer, "em") {
        let initial = std::iter::once("Initial values:").chain(topics::INITIAL_VALUES);
        page = page.with(
            "initial_values",
            Block::Paragraphs(initial.map(str::to_owned).collect()),
        );
    }
    if let Some(supported) = Supported::with(kind, name) {
        page = page.with("supported", Block::Supported(supported));
    }
    page.with("example", runs(kind, name))
}

fn runs(kind: Kind, name: &str) -> Block {
    Block::Verbatim("An example that runs", example::example(kind, name))
}

fn metric(page: Page, name: &str) -> Page {
    let Some(metric) = metrics::find(name) else {
        return page;
    };
    let better = match metric.larger_is_better {
        Some(true) => "larger is better",
        Some(false) => "smaller is better",
        None => "neither larger nor smaller is better",
    };
    page.with("title", Block::Paragraphs(vec![metric.title.clone()]))
        .with("text", Block::Paragraphs(vec![format!("{}.", metric.formula)]))
        .with(
            "facts",
            Block::Facts(vec![
                ("needs", metric.needs.clone()),
                ("unit", metric.unit.to_owned()),
                ("better", better.to_owned()),
            ]),
        )
}

fn figure(page: Page, name: &str) -> Page {
    let Some(figure) = lecture::find(name) else {
        return page;
    };
    page.with("text", Block::Paragraphs(vec![figure.summary.to_owned()]))
        .with(
            "facts",
            Block::Facts(vec![
                ("drawn from", figure.experiment.to_owned()),
                ("command", format!("latent-lab figure {name}")),
            ]),
        )
}

fn environment(page: Page, name: &str) -> Page {
    let Some(entry) = kind::find::<dyn EnvironmentKind>(name) else {
        return page;
    };
    let descriptions = Kind::Environment.descriptions().unwrap_or_default().into_iter();
    let keys: Vec<_> = descriptions
        .filter(|description| description.name == name)
        .flat_map(|description| description.keys)
        .collect();
    let mut page = page.with("text", Block::Paragraphs(vec![entry.summary.to_owned()]));
    page = page.with("equation", Block::Equation(entry.equation));
    if let Ok(environment) = entry.default_options() {
        page = page.with("facts", Block::Facts(topics::environment(&*environment)));
    }
    if !keys.is_empty() {
        let place = format!(
            "Its keys stand in `environment = {{ kind = {name:?}, … }}` of [evaluation.rollout], and of [data] with `source = \
             \"demonstrations\"` or `\"exploration\"`."
        );
        page = page
            .with("keys_text", Block::Paragraphs(vec![place]))
            .with("keys", Block::Keys(keys));
    }
    page.with("example", runs(Kind::Environment, name))
}
