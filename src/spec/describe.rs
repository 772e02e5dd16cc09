//! The keys of a section or of one of its kinds, as a reader wants them: name, what it may be, default, meaning.
//!
//! Everything comes from the derived schema, hence from the option structs and their doc comments.

use std::fmt;

use schemars::JsonSchema;
use serde_json::Value;

use super::shape::{Choice, Shape};

/// Text is wrapped at this many characters.
const WIDTH: usize = 100;

/// What one kind, or a section without kinds, offers.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// The value of the tag; for a section without kinds the name of its type.
    pub name: String,
    /// The doc comment, one item per paragraph; the first is the summary.
    pub paragraphs: Vec<String>,
    /// Its keys, its own first, then those that the section shares among all kinds.
    pub keys: Vec<KeyDescription>,
}

/// One key.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyDescription {
    /// The key.
    pub name: String,
    /// What it may be, with its range, in words.
    pub words: String,
    /// Whether it must be written.
    pub required: bool,
    /// The default as TOML; `None` if there is none or it is "not set".
    pub default: Option<String>,
    /// The accepted texts with their meaning, if it is one of a few.
    pub choices: Vec<(String, String)>,
    /// The doc comment, one item per paragraph.
    pub paragraphs: Vec<String>,
}

/// The kinds of an internally tagged enumeration, or of a section that flattens one, in their order.
pub fn kinds<T: JsonSchema>() -> Vec<Description> {
    let schema = schemars::schema_for!(T).to_value();
    let shape = Shape::new(&schema, &schema);
    let describe = |tag: &str, name: &str, variant: &Shape| {
        let mut keys = keys(variant);
        keys.retain(|key| key.name != tag);
        keys.extend(self::keys(&shape));
        Description {
            name: name.to_owned(),
            paragraphs: paragraphs(variant.doc()),
            keys,
        }
    };
    let tagged = shape.tagged.iter();
    let kinds = tagged.flat_map(|tagged| {
        tagged
            .variants
            .iter()
            .map(|(name, variant)| (tagged.tag, *name, variant))
    });
    kinds.map(|(tag, name, variant)| describe(tag, name, variant)).collect()
}

/// A section without kinds.
pub fn section<T: JsonSchema>() -> Description {
    let schema = schemars::schema_for!(T).to_value();
    let shape = Shape::new(&schema, &schema);
    Description {
        name: T::schema_name().into_owned(),
        paragraphs: paragraphs(shape.doc()),
        keys: keys(&shape),
    }
}

fn keys(shape: &Shape) -> Vec<KeyDescription> {
    let required: Vec<&str> = shape.required().collect();
    let describe = |(name, schema)| {
        let inner = shape.inner(schema);
        let default = inner.keyword("default").filter(|value| !value.is_null());
        let meaning = |choice: &Choice| (choice.name.to_owned(), paragraphs(choice.doc).join(" "));
        KeyDescription {
            name: String::from(name),
            words: inner.words_with_range(),
            required: required.contains(&name),
            default: default.map(inline),
            choices: inner.choices.iter().map(meaning).collect(),
            paragraphs: paragraphs(inner.doc()),
        }
    };
    shape.properties().map(describe).collect()
}

/// Paragraphs are set apart by blank lines; line breaks inside them mean nothing.
fn paragraphs(doc: &str) -> Vec<String> {
    let lines = doc
        .split("\n\n")
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|text| !text.is_empty()).collect()
}

/// A default as TOML on one line.
fn inline(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let set = map.iter().filter(|(_, value)| !value.is_null());
            let pairs: Vec<String> = set.map(|(key, value)| format!("{key} = {}", inline(value))).collect();
            if pairs.is_empty() {
                "{}".into()
            } else {
                format!("{{ {} }}", pairs.join(", "))
            }
        }
        leaf => leaf.to_string(),
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.name)?;
        for paragraph in &self.paragraphs {
            write_wrapped(f, "  ", paragraph)?;
        }
        let width = self.keys.iter().map(|key| key.name.len()).max().unwrap_or(0);
        let indent = " ".repeat(width + 4);
        for key in &self.keys {
            let state = match (&key.default, key.required) {
                (Some(default), _) => format!("default {default}"),
                (None, true) => "required".into(),
                (None, false) => "not set by default".into(),
            };
            writeln!(f)?;
            writeln!(f, "  {:width$}  {}; {state}", key.name, key.words)?;
            for paragraph in &key.paragraphs {
                write_wrapped(f, &indent, paragraph)?;
            }
            for (name, meaning) in key.choices.iter().filter(|(_, meaning)| !meaning.is_empty()) {
                write_wrapped(f, &indent, &format!("{name:?}: {meaning}"))?;
            }
        }
        Ok(())
    }
}

fn write_wrapped(f: &mut fmt::Formatter<'_>, indent: &str, text: &str) -> fmt::Result {
    let mut line = indent.to_owned();
    for word in text.split(' ') {
        if line.len() > indent.len() {
            if line.chars().count() + 1 + word.chars().count() > WIDTH {
                writeln!(f, "{line}")?;
                line.truncate(indent.len());
            } else {
                line.push(' ');
            }
        }
        line.push_str(word);
    }
    writeln!(f, "{line}")
}
