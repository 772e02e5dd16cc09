//! The keys of a section or of one of its kinds, for readers: name, accepted values, default, meaning.
//!
//! Everything comes from the derived schema, hence from the option structs and their doc comments.

use std::fmt;

use schemars::JsonSchema;
use serde_json::Value;

use super::shape::{Choice, Shape, Tagged};

/// [`Description`] as a text is wrapped at this many characters.
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
    /// The default as TOML, or in words where it depends on other keys (`x-default` in the schema); `None` if there is
    /// none.
    pub default: Option<String>,
    /// The accepted texts with their meaning, if it is one of a few.
    pub choices: Vec<(String, String)>,
    /// The keys of the table, if it is one whose keys do not depend on its kind.
    pub keys: Vec<KeyDescription>,
    /// The kinds of the table with the keys of each, if it is one whose keys depend on its kind. Empty for a section of
    /// the file and for a table in place of which a name can stand: their kinds have descriptions of their own.
    pub kinds: Vec<Description>,
    /// The doc comment, one item per paragraph.
    pub paragraphs: Vec<String>,
}

/// The kinds of an internally tagged enumeration, or of a section that flattens one, in their order.
pub fn kinds<T: JsonSchema>() -> Vec<Description> {
    let schema = schemars::schema_for!(T).to_value();
    let shape = Shape::new(&schema, &schema);
    let shared = keys(&shape);
    let mut kinds: Vec<Description> = shape.tagged.iter().flat_map(kinds_of).collect();
    for kind in &mut kinds {
        kind.keys.extend(shared.iter().cloned());
    }
    kinds
}

/// The kinds of a table, each with the keys that it adds.
fn kinds_of(tagged: &Tagged) -> Vec<Description> {
    let describe = |(name, variant): &(&str, Shape)| Description {
        name: (*name).to_owned(),
        paragraphs: paragraphs(variant.doc()),
        keys: keys(variant).into_iter().filter(|key| key.name != tagged.tag).collect(),
    };
    tagged.variants.iter().map(describe).collect()
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

/// The keys and tables of a file whose variants are `T`s.
pub fn file_keys<T: JsonSchema>() -> Vec<KeyDescription> {
    let schema = super::schema::of_files::<T>();
    let mut keys = keys(&Shape::new(&schema, &schema));
    keys.iter_mut().for_each(|section| section.kinds.clear());
    keys
}

/// The texts that a value may be, each with its meaning, one item per paragraph.
pub fn choices<T: JsonSchema>() -> Vec<(String, Vec<String>)> {
    let schema = schemars::schema_for!(T).to_value();
    let shape = Shape::new(&schema, &schema);
    let choice = |choice: &Choice| (choice.name.to_owned(), paragraphs(choice.doc));
    shape.choices.iter().map(choice).collect()
}

/// A key at a path, and the kinds that have it, as `tag = "kind"`; no kind where the key does not depend on one.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The kinds.
    pub kinds: Vec<String>,
    /// The key.
    pub key: KeyDescription,
}

/// The keys at `path` below a `T`, such as `["training", "early_stopping"]`; empty if there is no such key.
pub fn find<T: JsonSchema>(path: &[&str]) -> Vec<Found> {
    let schema = schemars::schema_for!(T).to_value();
    let mut found = Vec::new();
    collect(&Shape::new(&schema, &schema), path, None, &mut found);
    found
}

/// The names of all keys that a table of a `T` can have, for any kind.
pub fn table_keys<T: JsonSchema>(table: &str) -> Vec<String> {
    let schema = schemars::schema_for!(T).to_value();
    let shape = Shape::new(&schema, &schema);
    let keys = shape
        .property(table)
        .map(|table| table.all_keys().into_iter().map(str::to_owned).collect());
    keys.unwrap_or_default()
}

fn collect(shape: &Shape, path: &[&str], kind: Option<&str>, found: &mut Vec<Found>) {
    let [name, rest @ ..] = path else { return };
    if rest.is_empty() {
        for key in keys(shape).into_iter().filter(|key| key.name == *name) {
            match found.iter_mut().find(|known| known.key == key) {
                Some(known) => known.kinds.extend(kind.map(str::to_owned)),
                None => found.push(Found {
                    kinds: kind.map(str::to_owned).into_iter().collect(),
                    key,
                }),
            }
        }
    } else if let Some((_, schema)) = shape.properties().find(|(key, _)| key == name) {
        collect(&shape.inner(schema), rest, kind, found);
    }
    for tagged in &shape.tagged {
        for (name, variant) in &tagged.variants {
            let own = format!("{} = {name:?}", tagged.tag);
            let whole = kind.map_or(own.clone(), |outer| format!("{outer} and {own}"));
            collect(variant, path, Some(&whole), found);
        }
    }
    for alternative in &shape.alternatives {
        collect(alternative, path, kind, found);
    }
}

fn keys(shape: &Shape) -> Vec<KeyDescription> {
    let required: Vec<&str> = shape.required().collect();
    let describe = |(name, schema)| {
        let inner = shape.inner(schema);
        let default = inner.keyword("default").filter(|value| !value.is_null()).map(inline);
        // A default that depends on other keys is in no schema.
        let said = inner.keyword("x-default").and_then(Value::as_str).map(str::to_owned);
        let meaning = |choice: &Choice| (choice.name.to_owned(), paragraphs(choice.doc).join(" "));
        // The keys of a table without a tag.
        let tables = std::iter::once(&inner).chain(&inner.alternatives);
        let nested = tables.filter(|table| table.tagged.is_empty()).flat_map(keys);
        KeyDescription {
            name: String::from(name),
            words: inner.words_with_range(),
            required: required.contains(&name),
            default: said.or(default),
            choices: inner.choices.iter().map(meaning).collect(),
            keys: nested.collect(),
            kinds: inner.tagged.iter().flat_map(kinds_of).collect(),
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
        let mut text = format!("{}\n", self.name);
        for paragraph in &self.paragraphs {
            push_wrapped(&mut text, ["  ", "  "], paragraph, WIDTH);
        }
        if !self.keys.is_empty() {
            text.push('\n');
        }
        f.write_str(&(text + &keys_text(&self.keys, WIDTH)))
    }
}

impl KeyDescription {
    /// Whether it is required, and its default otherwise.
    pub fn state(&self) -> String {
        match (&self.default, self.required) {
            (Some(default), _) => format!("default {default}"),
            (None, true) => "required".into(),
            (None, false) => "optional".into(),
        }
    }

    fn write(&self, text: &mut String, indent: usize, names: usize, width: usize) {
        let margin = " ".repeat(indent + names + 2);
        let head = format!("{}; {}", self.words, self.state());
        let first = format!("{}{:names$}  ", " ".repeat(indent), self.name);
        push_wrapped(text, [&first, &margin], &head, width);
        for paragraph in &self.paragraphs {
            push_wrapped(text, [&margin, &margin], paragraph, width);
        }
        let hanging = format!("{margin}  ");
        for (name, meaning) in self.choices.iter().filter(|(_, meaning)| !meaning.is_empty()) {
            push_wrapped(text, [&margin, &hanging], &format!("{name:?}: {meaning}"), width);
        }
        write_inner(&self.keys, text, margin.len(), width);
        // Kinds have tables of their own, so they begin below the key and not below its text.
        let [first, hanging] = [2, 4].map(|more| " ".repeat(indent + more));
        for kind in &self.kinds {
            let words = std::iter::once(format!("{:?}:", kind.name)).chain(kind.paragraphs.iter().cloned());
            push_wrapped(text, [&first, &hanging], &words.collect::<Vec<_>>().join(" "), width);
            write_inner(&kind.keys, text, hanging.len() + 2, width);
        }
    }
}

/// Appends the keys of a table inside another, at most a third of the width to the right.
fn write_inner(keys: &[KeyDescription], text: &mut String, indent: usize, width: usize) {
    for key in keys {
        key.write(text, indent.min(width / 3), longest_name(keys), width);
    }
}

fn longest_name(keys: &[KeyDescription]) -> usize {
    keys.iter().map(|key| key.name.chars().count()).max().unwrap_or(0)
}

/// Keys with their types, defaults and meaning, wrapped at `width` characters.
pub fn keys_text(keys: &[KeyDescription], width: usize) -> String {
    let names = longest_name(keys);
    let mut text = String::new();
    for (number, key) in keys.iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        key.write(&mut text, 2, names.min(width / 3), width);
    }
    text
}

/// Appends `words` broken at blanks into lines of `width` characters, or longer where a single word is. The first line
/// begins with `first`, the others with `margin`.
pub fn push_wrapped(text: &mut String, [first, margin]: [&str; 2], words: &str, width: usize) {
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in words.split(' ') {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > width {
            text.push_str(line.trim_end());
            text.push('\n');
            margin.clone_into(&mut line);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    text.push_str(line.trim_end());
    text.push('\n');
}
