//! A TOML document as an owned tree that keeps the place of every key and value.
//!
//! Experiment files and `--set` overrides are both TOML and both end as [`Node`]s; a [`Span`] says which of the
//! [`Sources`] a piece came from, and survives merging, so that a fault is always shown on the line that caused it.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Diagnostic;

/// A range of bytes in one of the [`Sources`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Index into [`Sources`].
    pub source: usize,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    fn new(source: usize, range: std::ops::Range<usize>) -> Self {
        Self {
            source,
            start: range.start,
            end: range.end,
        }
    }
}

/// The texts that spans point into: the experiment file first, then the overrides.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    list: Vec<(String, String)>,
}

impl Sources {
    /// Adds a text under the name that diagnostics show; returns its index.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> usize {
        self.list.push((name.into(), text.into()));
        self.list.len() - 1
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The name of a source; empty if there is none.
    pub fn name(&self, source: usize) -> &str {
        self.list.get(source).map_or("", |(name, _)| name)
    }

    /// The text of a source; empty if there is none.
    pub fn text(&self, source: usize) -> &str {
        self.list.get(source).map_or("", |(_, text)| text)
    }

    /// Line and column of a byte, both counted from 1, the column in characters.
    pub fn position(&self, source: usize, byte: usize) -> (usize, usize) {
        let text = self.text(source);
        let before = &text[..text.floor_char_boundary(byte)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    }
}

/// A value and where it was written; for a `[table]` the span is its header, for a dotted key that key.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it was written.
    pub span: Span,
    /// What was written.
    pub value: Value,
}

/// A TOML value.
#[derive(Clone, Debug)]
pub enum Value {
    /// Text.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A floating-point number; TOML also has `nan` and `inf`.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A date or a time.
    Datetime(toml::value::Datetime),
    /// A list.
    Array(Vec<Node>),
    /// A table, its keys in the order they were written.
    Table(Vec<Entry>),
}

/// A key of a table with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key was written.
    pub key_span: Span,
    /// Its value.
    pub node: Node,
}

impl Node {
    /// An empty table.
    pub fn table(span: Span) -> Self {
        Self {
            span,
            value: Value::Table(Vec::new()),
        }
    }

    /// A table of one entry.
    pub fn of(entry: Entry) -> Self {
        Self {
            span: entry.key_span,
            value: Value::Table(vec![entry]),
        }
    }

    /// The entries, if this is a table.
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Table(entries) => Some(entries),
            _ => None,
        }
    }

    /// The entry of a key, if this is a table that has it.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries()?.iter().find(|entry| entry.key == key)
    }

    /// The value of a key, if this is a table that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// The text, if this is text.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// What this is, in words.
    pub fn words(&self) -> &'static str {
        match &self.value {
            Value::Boolean(true) => "true",
            Value::Boolean(false) => "false",
            Value::String(_) => "text",
            Value::Integer(_) => "a whole number",
            Value::Float(_) => "a decimal number",
            Value::Datetime(_) => "a date or time",
            Value::Array(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// The same value without spans.
    pub fn to_toml(&self) -> toml::Value {
        match &self.value {
            Value::String(text) => toml::Value::String(text.clone()),
            Value::Integer(n) => toml::Value::Integer(*n),
            Value::Float(x) => toml::Value::Float(*x),
            Value::Boolean(b) => toml::Value::Boolean(*b),
            Value::Datetime(time) => toml::Value::Datetime(*time),
            Value::Array(items) => toml::Value::Array(items.iter().map(Node::to_toml).collect()),
            Value::Table(entries) => {
                let pairs = entries.iter().map(|entry| (entry.key.clone(), entry.node.to_toml()));
                toml::Value::Table(pairs.collect())
            }
        }
    }

    /// The value as TOML on one line.
    pub fn inline(&self) -> String {
        let join = |parts: Vec<String>| parts.join(", ");
        match &self.value {
            Value::Array(items) => format!("[{}]", join(items.iter().map(Node::inline).collect())),
            Value::Table(entries) if entries.is_empty() => "{}".into(),
            Value::Table(entries) => {
                let pairs = entries
                    .iter()
                    .map(|entry| format!("{} = {}", entry.key, entry.node.inline()));
                format!("{{ {} }}", join(pairs.collect()))
            }
            _ => self.to_toml().to_string(),
        }
    }

    /// All values that are not tables, in order, and every empty table.
    pub fn paths(&self) -> Vec<Leaf<'_>> {
        fn walk<'n>(node: &'n Node, key_span: Span, path: &mut Vec<String>, leaves: &mut Vec<Leaf<'n>>) {
            match node.entries() {
                Some(entries) if !entries.is_empty() => {
                    for entry in entries {
                        path.push(entry.key.clone());
                        walk(&entry.node, entry.key_span, path, leaves);
                        path.pop();
                    }
                }
                _ if path.is_empty() => {}
                _ => leaves.push(Leaf {
                    path: path.clone(),
                    key_span,
                    node,
                }),
            }
        }
        let mut leaves = Vec::new();
        walk(self, self.span, &mut Vec::new(), &mut leaves);
        leaves
    }

    /// The value at the end of a path of keys.
    pub fn at(&self, path: &[String]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The leaves as `path = value`, in order: what a patch says.
    pub fn leaves(&self) -> Vec<String> {
        fn walk(node: &Node, path: &str, leaves: &mut Vec<String>) {
            match node.entries() {
                Some(entries) if !entries.is_empty() => {
                    for entry in entries {
                        let dot = if path.is_empty() { "" } else { "." };
                        walk(&entry.node, &format!("{path}{dot}{}", entry.key), leaves);
                    }
                }
                _ if path.is_empty() => {}
                _ => leaves.push(format!("{path} = {}", node.inline())),
            }
        }
        let mut leaves = Vec::new();
        walk(self, "", &mut leaves);
        leaves
    }
}

/// A value without keys below it, with the keys that lead to it.
#[derive(Clone, Debug)]
pub struct Leaf<'n> {
    /// The keys, from the top.
    pub path: Vec<String>,
    /// Where the last key was written.
    pub key_span: Span,
    /// The value.
    pub node: &'n Node,
}

/// Where a dotted path such as `model.hidden.0` is written: its value, else the deepest ancestor that exists.
pub fn locate(root: &Node, path: &str) -> Span {
    let mut node = root;
    for name in path.split('.') {
        let next = match &node.value {
            Value::Table(_) => node.get(name),
            Value::Array(items) => name.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        };
        match next {
            Some(next) => node = next,
            None => break,
        }
    }
    node.span
}

/// Whether a text is TOML.
pub fn is_toml(text: &str) -> bool {
    DeTable::parse(text).is_ok()
}

/// Parses a source. All syntax errors are returned, with the tree of what could be read.
pub fn parse(sources: &Sources, source: usize) -> (Node, Vec<Diagnostic>) {
    let (table, errors) = DeTable::parse_recoverable(sources.text(source));
    let mut faults: Vec<Diagnostic> = errors.iter().map(|error| syntax_fault(source, error)).collect();
    let value = convert_table(source, table.get_ref(), &mut faults);
    let root = Node {
        span: Span::new(source, 0..0),
        value,
    };
    (root, faults)
}

fn syntax_fault(source: usize, error: &toml::de::Error) -> Diagnostic {
    let text = error.message();
    let (what, expected) = text.split_once(", expected ").unwrap_or((text, ""));
    let mut fault = Diagnostic::error(format!("not valid TOML: {what}"));
    // An error without a place, such as too many keys inside each other, is shown at the start.
    fault.span = Some(Span::new(source, error.span().unwrap_or(0..0)));
    if !expected.is_empty() {
        fault.label = format!("expected {expected}");
    }
    if what == "duplicate key" {
        fault.label = "written before".into();
        fault.help = Some("a table has each key once, and each [table] has one header".into());
    }
    if what.contains("must be quoted") {
        fault.help = Some("write text in quotes: `key = \"text\"`".into());
    }
    if what.contains("recur") {
        fault.label = "expected fewer tables and lists inside each other".into();
    }
    fault
}

fn convert_table(source: usize, table: &DeTable<'_>, faults: &mut Vec<Diagnostic>) -> Value {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_span: Span::new(source, key.span()),
            node: convert(source, value, faults),
        })
        .collect();
    // The parser moves a table to the end when a later header reopens it.
    entries.sort_by_key(|entry| entry.key_span.start);
    Value::Table(entries)
}

fn convert(source: usize, value: &Spanned<DeValue<'_>>, faults: &mut Vec<Diagnostic>) -> Node {
    let span = Span::new(source, value.span());
    let mut overflow = |label: &str| {
        let mut fault = Diagnostic::error("the number is too large");
        fault.span = Some(span);
        fault.label = label.into();
        faults.push(fault);
    };
    let value = match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(digits) => match i64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(n) => Value::Integer(n),
            Err(_) => {
                overflow("expected a whole number between -2^63 and 2^63 - 1");
                Value::Integer(0)
            }
        },
        DeValue::Float(digits) => {
            let x: f64 = digits.as_str().parse().unwrap_or(f64::NAN);
            if x.is_infinite() && !digits.as_str().contains("inf") {
                overflow("expected a number of size below 1.8e308");
            }
            Value::Float(x)
        }
        DeValue::Boolean(b) => Value::Boolean(*b),
        DeValue::Datetime(time) => Value::Datetime(*time),
        DeValue::Array(items) => Value::Array(items.iter().map(|item| convert(source, item, faults)).collect()),
        DeValue::Table(table) => convert_table(source, table, faults),
    };
    Node { span, value }
}
