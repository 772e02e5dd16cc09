//! `--set` overrides: a piece of TOML, or the looser `key=value` of other command lines.
//!
//! TOML is tried first. Text that is not TOML is read as assignments `path=value`, separated by spaces, semicolons or
//! line breaks: text needs no quotes (`model.covariance=full`), a list needs no brackets (`model.hidden=64,64`), and
//! `True` and `False` are read as in Python. No key takes a date, so dates are read as text.

use super::diagnostic::{Diagnostic, brief};
use super::tree::{self, Entry, Node, Sources, Span, Value};

/// Nested lists and tables are read to this depth.
const DEPTH: usize = 8;

/// Reads the override `source`; the faults are empty where the tree is complete.
pub fn parse(sources: &Sources, source: usize) -> (Node, Vec<Diagnostic>) {
    let text = sources.text(source);
    let (mut root, faults) = tree::parse(sources, source);
    if tree::is_toml(text) {
        dates_as_text(&mut root, text);
        return (root, faults);
    }
    match (Reader { text, source }).root() {
        Ok(Some(root)) => (root, Vec::new()),
        Ok(None) => (root, faults.into_iter().take(1).collect()),
        Err(fault) => (root, vec![*fault]),
    }
}

/// Keys of an override with nothing below them: they change nothing.
pub fn empty_tables(root: &Node) -> Vec<Diagnostic> {
    fn walk(entry: &Entry, path: &str, faults: &mut Vec<Diagnostic>) {
        let path = if path.is_empty() {
            entry.key.clone()
        } else {
            format!("{path}.{}", entry.key)
        };
        match entry.node.entries() {
            Some([]) => {
                let fault = Diagnostic::error(format!("the override sets no key of `{path}`"));
                let fault = fault.at(entry.key_span, "expected a key and its value");
                faults.push(fault.help(format!("name the key: `{path}.KEY = VALUE`")));
            }
            entries => entries
                .into_iter()
                .flatten()
                .for_each(|inner| walk(inner, &path, faults)),
        }
    }
    let mut faults = Vec::new();
    let entries = root.entries().unwrap_or_default();
    entries.iter().for_each(|entry| walk(entry, "", &mut faults));
    faults
}

fn dates_as_text(node: &mut Node, text: &str) {
    match &mut node.value {
        Value::Datetime(_) => {
            let written = text.get(node.span.start..node.span.end).unwrap_or_default();
            node.value = Value::String(written.to_owned());
        }
        Value::Array(items) => items.iter_mut().for_each(|item| dates_as_text(item, text)),
        Value::Table(entries) => entries
            .iter_mut()
            .for_each(|entry| dates_as_text(&mut entry.node, text)),
        _ => {}
    }
}

/// A key and the bytes it is written in.
type Key = (String, std::ops::Range<usize>);

/// Reads assignments; all positions are bytes of `text`.
struct Reader<'t> {
    text: &'t str,
    source: usize,
}

impl Reader<'_> {
    fn span(&self, start: usize, end: usize) -> Span {
        let source = self.source;
        Span { source, start, end }
    }

    /// All assignments as one tree; `None` where the text follows no rule of this reader.
    fn root(&self) -> Result<Option<Node>, Box<Diagnostic>> {
        let mut root = Node::table(self.span(0, 0));
        let mut at = self.skip(0);
        if self.path(at).is_none() {
            let fault = Diagnostic::error(format!("{:?} is not an override", brief(self.text)));
            let fault = fault.at(self.span(at, self.text.len()), "expected `key = value`");
            return Err(Box::new(fault.help(self.how_to_write())));
        }
        while at < self.text.len() {
            let Some((path, start)) = self.path(at) else {
                return Ok(None);
            };
            let end = self.value_end(start);
            let trimmed = self.text[start..end].trim_end();
            let written: Vec<&str> = path.iter().map(|(key, _)| key.as_str()).collect();
            if trimmed.is_empty() {
                let fault = Diagnostic::error(format!("`{}` has no value", brief(&written.join("."))));
                let fault = fault.at(self.span(at, end), "expected a value behind `=`");
                return Err(Box::new(fault.help(self.how_to_write())));
            }
            let Some(value) = self.value(start, start + trimmed.len(), DEPTH) else {
                return Ok(None);
            };
            if !insert(&mut root, &path, value, self.source) {
                let fault = Diagnostic::error(format!("`{}` is set twice", brief(&written.join("."))));
                let fault = fault.at(self.span(at, end), "expected another key");
                return Err(Box::new(fault.help("keep one of the two")));
            }
            at = self.skip(end);
        }
        Ok(Some(root))
    }

    fn how_to_write(&self) -> &'static str {
        match self.text.trim_start().starts_with("variant.") {
            true => {
                "write the override in single quotes and the name in double quotes: \
                 --set 'variant.\"NAME\".model.components = 8'"
            }
            false => "write for example --set model.components=8",
        }
    }

    /// The position after white space and semicolons.
    fn skip(&self, at: usize) -> usize {
        let rest = &self.text[at..];
        at + rest.len() - rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';').len()
    }

    /// A dotted path with its `=`, and where its value starts. A leading `+` or `++` (Hydra) is ignored.
    fn path(&self, at: usize) -> Option<(Vec<Key>, usize)> {
        let mut at = at + self.text[at..].len() - self.text[at..].trim_start_matches('+').len();
        let mut path = Vec::new();
        loop {
            let (key, end) = self.key(at)?;
            path.push((key, at..end));
            let rest = self.text[end..].trim_start_matches([' ', '\t']);
            at = self.text.len() - rest.len() + 1;
            match rest.as_bytes().first()? {
                b'.' => at += blanks(&self.text[at..]),
                b'=' => return Some((path, at + blanks(&self.text[at..]))),
                _ => return None,
            }
        }
    }

    /// A bare or quoted key and where it ends.
    fn key(&self, at: usize) -> Option<(String, usize)> {
        let rest = &self.text[at..];
        let Some(quote @ ('"' | '\'')) = rest.chars().next() else {
            let is_bare = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
            let length = rest.find(|c| !is_bare(c)).unwrap_or(rest.len());
            // `--key` is a flag, and no key starts with a hyphen.
            let is_key = length > 0 && !rest.starts_with('-');
            return is_key.then(|| (rest[..length].to_owned(), at + length));
        };
        let end = at + quoted_length(rest, quote)?;
        let table: toml::Table = toml::from_str(&format!("{} = 0", &self.text[at..end])).ok()?;
        Some((table.into_iter().next()?.0, end))
    }

    /// Where a value ends: at the end of the text, or where white space or a semicolon comes before the next path.
    fn value_end(&self, start: usize) -> usize {
        let mut depth = 0_usize;
        let mut at = start;
        while let Some(c) = self.text[at..].chars().next() {
            match c {
                '[' | '{' => depth += 1,
                ']' | '}' => depth = depth.saturating_sub(1),
                '"' | '\'' => at += quoted_length(&self.text[at..], c).map_or(0, |length| length - 1),
                _ if depth == 0 && (c.is_whitespace() || c == ';') => {
                    let next = self.skip(at);
                    if next == self.text.len() || self.path(next).is_some() {
                        return at;
                    }
                    at = next;
                    continue;
                }
                _ => {}
            }
            at += self.text[at..].chars().next().map_or(1, char::len_utf8);
        }
        self.text.len()
    }

    fn value(&self, start: usize, end: usize, depth: usize) -> Option<Node> {
        let written = &self.text[start..end];
        let text = written.trim();
        let start = start + written.len() - written.trim_start().len();
        let span = self.span(start, start + text.len());
        let node = |value| Some(Node { span, value });
        if text.is_empty() || depth == 0 {
            return None;
        }
        if let Some(value) = self.toml_value(text, start) {
            return Some(value);
        }
        let enclosed = |open, close| text.strip_prefix(open).and_then(|inner| inner.strip_suffix(close));
        if let Some(inner) = enclosed('[', ']') {
            return node(Value::Array(self.items(inner, start + 1, depth)?));
        }
        if let Some(inner) = enclosed('{', '}') {
            return node(Value::Table(self.entries(inner, start + 1, depth)?));
        }
        // `64,` is a list of one, as in Python.
        if pieces(text).len() > 1 || text.ends_with(',') {
            return node(Value::Array(self.items(text, start, depth)?));
        }
        match text {
            "True" | "TRUE" => node(Value::Boolean(true)),
            "False" | "FALSE" => node(Value::Boolean(false)),
            _ if text.contains(|c: char| c.is_control() || "\"'[]{}=#".contains(c)) => None,
            _ => node(Value::String(text.to_owned())),
        }
    }

    /// The value, if the text is TOML.
    fn toml_value(&self, text: &str, start: usize) -> Option<Node> {
        const KEY: &str = "v = ";
        let document = format!("{KEY}{text}");
        if !tree::is_toml(&document) {
            return None;
        }
        let mut sources = Sources::default();
        sources.add("", document.as_str());
        let (mut root, faults) = tree::parse(&sources, 0);
        dates_as_text(&mut root, &document);
        let Value::Table(entries) = root.value else { return None };
        let [entry] = <[Entry; 1]>::try_from(entries).ok()?;
        let mut node = entry.node;
        shift(&mut node, self.source, start, KEY.len());
        faults.is_empty().then_some(node)
    }

    fn items(&self, inner: &str, start: usize, depth: usize) -> Option<Vec<Node>> {
        let parts = pieces(inner).into_iter();
        parts
            .map(|range| self.value(start + range.start, start + range.end, depth - 1))
            .collect()
    }

    /// `key=value` or `key: value`, separated by commas.
    fn entries(&self, inner: &str, start: usize, depth: usize) -> Option<Vec<Entry>> {
        let entry = |range: std::ops::Range<usize>| {
            let at = start + range.start + blanks(&inner[range.clone()]);
            let (key, end) = self.key(at)?;
            let sign = end + blanks(&self.text[end..]);
            let is_sign = self.text[sign..].starts_with(['=', ':']);
            let value = self.value(sign + 1, start + range.end, depth - 1);
            let node = value.filter(|_| is_sign)?;
            let key_span = self.span(at, end);
            Some(Entry { key, key_span, node })
        };
        pieces(inner).into_iter().map(entry).collect()
    }
}

/// The parts between commas that stand outside brackets and quotes; a comma at the end adds none.
fn pieces(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut parts = Vec::new();
    let (mut depth, mut start, mut quote) = (0_usize, 0, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                parts.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
    }
    if parts.is_empty() || !text[start..].trim().is_empty() {
        parts.push(start..text.len());
    }
    parts
}

/// How many bytes of white space a text starts with.
fn blanks(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

/// The bytes of the quoted text at the start, with both quotes; `None` where it does not end.
fn quoted_length(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            _ if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Moves the spans of a separately parsed value to its place in the override.
fn shift(node: &mut Node, source: usize, start: usize, key: usize) {
    let moved = |span: Span| Span {
        source,
        start: start + span.start.saturating_sub(key),
        end: start + span.end.saturating_sub(key),
    };
    node.span = moved(node.span);
    match &mut node.value {
        Value::Array(items) => items.iter_mut().for_each(|item| shift(item, source, start, key)),
        Value::Table(entries) => {
            for entry in entries {
                entry.key_span = moved(entry.key_span);
                shift(&mut entry.node, source, start, key);
            }
        }
        _ => {}
    }
}

/// Sets the path in the tree; false where it is set already.
fn insert(root: &mut Node, path: &[Key], value: Node, source: usize) -> bool {
    let Some(((key, range), rest)) = path.split_first() else {
        return false;
    };
    let Value::Table(entries) = &mut root.value else {
        return false;
    };
    let (start, end) = (range.start, range.end);
    let key_span = Span { source, start, end };
    let found = entries.iter_mut().find(|entry| entry.key == *key);
    match (found, rest.is_empty()) {
        (Some(_), true) => false,
        (Some(entry), false) => insert(&mut entry.node, rest, value, source),
        (None, true) => {
            let (key, node) = (key.clone(), value);
            entries.push(Entry { key, key_span, node });
            true
        }
        (None, false) => {
            let mut node = Node::table(key_span);
            let done = insert(&mut node, rest, value, source);
            let key = key.clone();
            entries.push(Entry { key, key_span, node });
            done
        }
    }
}
