//! A description as a text for people and as JSON for programs.

use super::combinations::Supported;
use crate::cli::kind::Entry;
use crate::cli::list;
use crate::cli::screen::Screen;
use crate::spec::describe::{Description, KeyDescription, keys_text, push_wrapped};
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// The description of one thing.
pub(super) struct Page {
    /// What it is, such as `model`.
    kind: String,
    /// Its name.
    name: String,
    /// Its parts, in order; each with the key that it has in JSON.
    blocks: Vec<(&'static str, Block)>,
}

/// A part of a page.
pub(super) enum Block {
    /// Prose.
    Paragraphs(Vec<String>),
    /// Keys of a table.
    Keys(Vec<KeyDescription>),
    /// Short statements, each with its name.
    Facts(Vec<(&'static str, String)>),
    /// Names, each with its one line.
    Names(Vec<Entry>),
    /// An equation.
    Equation(&'static str),
    /// A text that is kept as it is, under a heading.
    Verbatim(&'static str, String),
    /// Supported combinations.
    Supported(Supported),
}

impl Page {
    /// An empty page.
    pub(super) fn new(kind: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            name: name.into(),
            blocks: Vec::new(),
        }
    }

    /// The page with one more part, called `key` in JSON.
    pub(super) fn with(mut self, key: &'static str, block: Block) -> Self {
        self.blocks.push((key, block));
        self
    }

    /// The page for people, as `screen` can show it.
    pub(super) fn text(&self, screen: &Screen) -> String {
        let width = screen.prose_width();
        let mut text = format!("{}\n", self.name);
        for (number, (_, block)) in self.blocks.iter().enumerate() {
            if number > 0 {
                text.push('\n');
            }
            block.write(&mut text, screen, width);
        }
        text
    }

    /// The page for programs.
    pub(super) fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("kind".into(), self.kind.clone().into());
        object.insert("name".into(), self.name.clone().into());
        for (key, block) in &self.blocks {
            match block {
                Block::Facts(facts) => {
                    object.extend(
                        facts
                            .iter()
                            .map(|(name, fact)| (name.replace(' ', "_"), fact.clone().into())),
                    );
                }
                _ => {
                    object.insert((*key).into(), block.json());
                }
            }
        }
        object.into()
    }
}

impl Block {
    fn write(&self, text: &mut String, screen: &Screen, width: usize) {
        match self {
            Self::Paragraphs(paragraphs) => {
                for paragraph in paragraphs {
                    push_wrapped(text, ["  ", "  "], paragraph, width);
                }
            }
            Self::Keys(keys) => text.push_str(&keys_text(keys, width)),
            Self::Facts(facts) => {
                for (name, fact) in facts {
                    push_wrapped(text, ["  ", "    "], &format!("{name}: {fact}"), width);
                }
            }
            Self::Names(entries) => text.push_str(&list::table_on(entries, &people(screen, 0))),
            Self::Equation(equation) => {
                text.push_str("Equation:\n\n");
                for line in equation.lines() {
                    push_wrapped(text, ["  ", "    "], line, width);
                }
            }
            Self::Verbatim(title, verbatim) => {
                let _ = writeln!(text, "{title}:\n");
                for line in verbatim.lines() {
                    let margin = if line.is_empty() { "" } else { "  " };
                    let _ = writeln!(text, "{margin}{line}");
                }
            }
            Self::Supported(supported) => {
                text.push_str("Supported combinations. Each name goes with each other name of its row:\n\n");
                for line in supported.text(&people(screen, 2)).lines() {
                    let _ = writeln!(text, "  {line}");
                }
            }
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Paragraphs(paragraphs) => paragraphs.clone().into(),
            Self::Keys(keys) => keys.iter().map(key_json).collect(),
            Self::Facts(facts) => facts.iter().map(|(name, fact)| (*name, fact.as_str())).collect(),
            Self::Names(entries) => list::json(entries).into(),
            Self::Equation(equation) => (*equation).into(),
            Self::Verbatim(_, text) => text.clone().into(),
            Self::Supported(supported) => supported.json(),
        }
    }
}

/// The screen for a table of a description, `margin` columns narrower: it is for people, so it is wrapped in a pipe as
/// well.
fn people(screen: &Screen, margin: usize) -> Screen {
    Screen {
        width: Some(screen.prose_width() - margin),
        ..*screen
    }
}

fn key_json(key: &KeyDescription) -> Value {
    let choice = |(name, meaning): &(String, String)| json!({ "name": name, "meaning": meaning });
    let kind = |kind: &Description| {
        let keys: Vec<Value> = kind.keys.iter().map(key_json).collect();
        json!({ "name": kind.name, "text": kind.paragraphs, "keys": keys })
    };
    json!({
        "name": key.name,
        "value": key.words,
        "required": key.required,
        "default": key.default,
        "text": key.paragraphs,
        "choices": key.choices.iter().map(choice).collect::<Vec<_>>(),
        "keys": key.keys.iter().map(key_json).collect::<Vec<_>>(),
        "kinds": key.kinds.iter().map(kind).collect::<Vec<_>>(),
    })
}
