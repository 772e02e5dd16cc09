//! Compares a tree with the [`Shape`] that it should have, and collects every fault.
//!
//! It checks for unknown and missing keys, and checks forms, choices, tags, ranges and lengths. TOML's `nan` and `inf`
//! are refused unless the schema says `"nonFinite": true`.

use super::diagnostic::{Diagnostic, brief};
use super::foreign;
use super::renamed;
use super::shape::{Form, Shape, Tagged, one_of};
use super::suggestion::{closest, conversion, suggestion};
use super::tree::{Entry, Node, Span, Value};

/// All faults of a tree. With `partial`, keys may be missing, because variants can add them. `elsewhere` lists the
/// top-level keys that other code reads; an unknown key may be a misspelling of one.
pub fn check(root: &Node, shape: &Shape, elsewhere: &[&str], partial: bool) -> Vec<Diagnostic> {
    let mut checker = Checker {
        top: shape,
        elsewhere,
        partial,
        faults: Vec::new(),
    };
    checker.value(root, shape, "");
    checker.faults
}

struct Checker<'a, 's> {
    top: &'a Shape<'s>,
    elsewhere: &'a [&'a str],
    partial: bool,
    faults: Vec<Diagnostic>,
}

impl Checker<'_, '_> {
    fn fault(&mut self, message: String, span: Span, label: String, help: Option<String>) {
        let mut fault = Diagnostic::error(message).at(span, label);
        fault.help = help;
        self.faults.push(fault);
    }

    fn value(&mut self, node: &Node, shape: &Shape, path: &str) {
        let forms = shape.forms();
        if !forms.is_empty() && !forms.iter().any(|form| accepts(*form, node)) {
            let message = format!("`{path}` is {}, not {}", node.words(), shape.words());
            let label = format!("expected {}", shape.words_with_range());
            return self.fault(message, node.span, label, conversion(node, &forms, path));
        }
        if !shape.alternatives.is_empty() {
            return self.alternatives(node, shape, path);
        }
        match &node.value {
            Value::String(text) => self.text(text, node, shape, path),
            Value::Integer(n) => self.number(*n as f64, node, shape, path),
            Value::Float(x) => self.number(*x, node, shape, path),
            Value::Array(items) => self.list(items, node, shape, path),
            Value::Table(entries) => self.table(entries, node, shape, path),
            Value::Boolean(_) | Value::Datetime(_) => {}
        }
    }

    /// Valid if one alternative is; otherwise the faults are those of the closest alternative.
    fn alternatives(&mut self, node: &Node, shape: &Shape, path: &str) {
        let fits = shape.alternatives.iter().filter(|one| {
            let forms = one.forms();
            forms.is_empty() || forms.iter().any(|form| accepts(*form, node))
        });
        let attempts = fits.map(|one| {
            let mut checker = Checker {
                faults: Vec::new(),
                ..*self
            };
            checker.value(node, one, path);
            checker.faults
        });
        if let Some(best) = attempts.min_by_key(Vec::len) {
            self.faults.extend(best);
        }
    }

    fn text(&mut self, text: &str, node: &Node, shape: &Shape, path: &str) {
        if !shape.choices.is_empty() && !shape.choices.iter().any(|choice| choice.name == text) {
            let names = || shape.choices.iter().map(|choice| choice.name);
            let message = format!("`{path}` cannot be {:?}", brief(text));
            let label = format!("expected {}", one_of(names()));
            let help = suggestion(text, names);
            self.fault(message, node.span, label, help);
        }
        let least = shape
            .keyword("minLength")
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(0);
        if (text.trim().chars().count() as u64) < least {
            self.fault(format!("`{path}` is empty"), node.span, "expected text".into(), None);
        }
        let most = shape.keyword("maxLength").and_then(serde_json::Value::as_u64);
        if let Some(most) = most.filter(|most| text.chars().count() as u64 > *most) {
            let message = format!("`{path}` has {} characters", text.chars().count());
            self.fault(message, node.span, format!("expected at most {most} characters"), None);
        }
    }

    fn number(&mut self, x: f64, node: &Node, shape: &Shape, path: &str) {
        let allowed = shape.keyword("nonFinite").and_then(serde_json::Value::as_bool) == Some(true);
        if !x.is_finite() && !allowed {
            let message = format!("`{path}` is {}", brief(&node.inline()));
            return self.fault(message, node.span, "expected a finite number".into(), None);
        }
        let [low, high] = shape.bounds();
        let too_low = low.is_some_and(|(bound, open)| x < bound || (open && x == bound));
        let too_high = high.is_some_and(|(bound, open)| x > bound || (open && x == bound));
        let limits = shape
            .type_limits()
            .filter(|(low, high)| x.is_finite() && (x < *low || x > *high));
        if too_low || too_high || limits.is_some() {
            let label = match limits {
                Some((low, high)) if !too_low && !too_high => {
                    format!("expected {} from {low} to {high}", shape.words())
                }
                _ => format!("expected {}", shape.words_with_range()),
            };
            let message = format!("`{path}` is out of range: {}", brief(&node.inline()));
            self.fault(message, node.span, label, meaning(shape, path));
        }
    }

    fn list(&mut self, items: &[Node], node: &Node, shape: &Shape, path: &str) {
        let length = |name| shape.keyword(name).and_then(serde_json::Value::as_u64);
        let count = items.len() as u64;
        if length("minItems").is_some_and(|least| count < least) || length("maxItems").is_some_and(|most| count > most)
        {
            let plural = if count == 1 { "" } else { "s" };
            let message = format!("`{path}` has {count} value{plural}");
            let label = format!("expected {}", shape.words_with_range());
            self.fault(message, node.span, label, meaning(shape, path));
        }
        let same = shape.keyword("prefixItems").is_none().then(|| shape.item(0)).flatten();
        for (index, item) in items.iter().enumerate() {
            if let Some(inner) = same.clone().or_else(|| shape.item(index)) {
                let before = self.faults.len();
                self.value(item, &inner, &format!("{path}[{index}]"));
                for fault in &mut self.faults[before..] {
                    fault.help = fault.help.take().or_else(|| meaning(shape, path));
                }
            }
        }
    }

    fn table(&mut self, entries: &[Entry], node: &Node, shape: &Shape, path: &str) {
        let mut table = Active::default();
        self.activate(node, shape, path, &mut table);
        let all_keys = if table.undecided { shape.all_keys() } else { Vec::new() };
        let is_undecided = |key: &str| all_keys.contains(&key);
        for entry in entries {
            let inside = join(path, &entry.key);
            if table.settled.contains(&entry.key) {
                continue;
            } else if let Some(schema) = table.fields.iter().find(|(key, _)| *key == entry.key) {
                self.value(&entry.node, &shape.inner(schema.1), &inside);
            } else if let Some(schema) = table.any_key {
                self.value(&entry.node, &shape.inner(schema), &inside);
            } else if !table.open && !is_undecided(&entry.key) {
                self.unknown_key(entry, shape, path, &table);
            }
        }
        if !self.partial {
            for key in &table.required {
                if node.get(key).is_none() && !table.settled.iter().any(|tag| tag == key) {
                    self.missing_key(key, node, shape, path);
                }
            }
        }
    }

    /// Collects the keys that this table may have, given the values of its tags.
    fn activate<'s>(&mut self, node: &Node, shape: &Shape<'s>, path: &str, table: &mut Active<'s>) {
        table.fields.extend(shape.properties());
        table.required.extend(shape.required());
        match shape.keyword("additionalProperties") {
            Some(serde_json::Value::Bool(open)) => table.open |= open,
            Some(schema) => table.any_key = Some(schema),
            None => table.open |= shape.properties().next().is_none() && shape.tagged.is_empty(),
        }
        for tagged in &shape.tagged {
            table.settled.push(tagged.tag.to_owned());
            match self.chosen(node, tagged, path) {
                Some((name, variant)) => {
                    table.kinds.push((tagged.tag.to_owned(), name.to_owned()));
                    self.activate_variant(node, variant, path, table);
                }
                None => table.undecided = !tagged.optional || node.get(tagged.tag).is_some() || table.undecided,
            }
        }
    }

    fn activate_variant<'s>(&mut self, node: &Node, variant: &Shape<'s>, path: &str, table: &mut Active<'s>) {
        let open = table.open;
        self.activate(node, variant, path, table);
        // A variant without keys of its own still has its tag, so it never opens the table.
        table.open = open;
    }

    fn chosen<'t, 's>(&mut self, node: &Node, tagged: &'t Tagged<'s>, path: &str) -> Option<(&'s str, &'t Shape<'s>)> {
        let inside = join(path, tagged.tag);
        let names = || tagged.variants.iter().map(|(name, _)| *name);
        let Some(value) = node.get(tagged.tag) else {
            if !tagged.optional && !self.partial {
                let message = format!("`{inside}` is missing");
                let label = format!("expected a key `{}`: {}", tagged.tag, one_of(names()));
                let help = names()
                    .next()
                    .map(|name| format!("add `{} = {name:?}`, for example", tagged.tag));
                self.fault(message, node.span, label, help);
            }
            return None;
        };
        let Some(text) = value.as_str() else {
            let message = format!("`{inside}` is {}, not text", value.words());
            self.fault(message, value.span, format!("expected {}", one_of(names())), None);
            return None;
        };
        let found = tagged.variants.iter().find(|(name, _)| *name == text);
        if found.is_none() {
            let message = format!("there is no {} {:?} for `{inside}`", tagged.tag, brief(text));
            let help = suggestion(text, names);
            self.fault(message, value.span, format!("expected {}", one_of(names())), help);
        }
        found.map(|(name, shape)| (*name, shape))
    }

    fn unknown_key(&mut self, entry: &Entry, shape: &Shape, path: &str, table: &Active) {
        let key = entry.key.as_str();
        let shown = brief(key);
        let renamed = renamed::find(path, key);
        if let Some(renamed) =
            renamed.filter(|renamed| table.fields.iter().any(|(name, _)| *name == renamed.first_key()))
        {
            let message = format!("`{path}.{shown}` is now called `{path}.{}`", renamed.new);
            let help = renamed.help(&brief(&entry.node.inline()));
            return self.fault(
                message,
                entry.key_span,
                format!("expected `{}`", renamed.new),
                Some(help),
            );
        }
        let path_section = path.split('.').next().unwrap_or_default();
        let mut allowed: Vec<&str> = table.settled.iter().map(String::as_str).collect();
        for (name, _) in &table.fields {
            if !allowed.contains(name) {
                allowed.push(name);
            }
        }
        if path.is_empty() {
            allowed.splice(0..0, self.elsewhere.iter().copied());
        }
        let owners = shape.tagged.iter().flat_map(|tagged| &tagged.variants);
        let owners = owners
            .filter(|(_, variant)| variant.all_keys().contains(&key))
            .map(|(name, _)| *name);
        let owners: Vec<&str> = owners.collect();
        let section = self.top.properties().map(|(name, _)| name).find(|name| {
            let inner = self.top.property(name);
            !path.starts_with(name) && inner.is_some_and(|inner| inner.all_keys().contains(&key))
        });
        let is_list =
            matches!(&entry.node.value, Value::Array(items) if items.iter().any(|item| item.entries().is_some()));
        let section_key = path.is_empty() && (entry.node.entries().is_some() || is_list);
        let quote = |key: &str| match (section_key, key) {
            (true, "variant") => "[[variant]]".to_owned(),
            (true, _) => format!("[{key}]"),
            (false, _) => format!("`{key}`"),
        };
        let help = if let Some(name) = closest(key, allowed.iter().copied()) {
            format!("did you mean {}?", quote(name))
        } else if let Some(hint) =
            foreign::keys(key).find(|hint| hint.section() == path_section && allowed.contains(&hint.first_key()))
        {
            hint.text(&shown, path_section)
        } else if !owners.is_empty() {
            format!("`{shown}` is a key of {}", one_of(owners.into_iter()))
        } else if let Some(section) = section {
            format!("`{shown}` is a key of [{section}]")
        } else if let Some(hint) = foreign::keys(key).find(|hint| self.exists(hint)) {
            hint.text(&shown, path_section)
        } else {
            format!("the keys are: {}", allowed.join(", "))
        };
        let (message, label) = match &table.kinds[..] {
            _ if section_key => (
                format!("unknown section [{shown}]"),
                "expected a section of an experiment file".into(),
            ),
            _ if path.is_empty() => (
                format!("unknown key `{shown}`"),
                "expected a key of an experiment file".into(),
            ),
            [] => (
                format!("unknown key `{shown}` in [{path}]"),
                format!("expected a key of [{path}]"),
            ),
            kinds => {
                let kinds: Vec<String> = kinds.iter().map(|(tag, kind)| format!("{tag} {kind:?}")).collect();
                (
                    format!("unknown key `{shown}` in [{path}]"),
                    format!("expected a key of {}", kinds.join(" and ")),
                )
            }
        };
        self.fault(message, entry.key_span, label, Some(help));
    }

    /// Whether the key that a hint names is one of the file or of its section.
    fn exists(&self, hint: &foreign::Key) -> bool {
        match self.top.property(hint.section()) {
            Some(section) => section.all_keys().contains(&hint.first_key()),
            None => self.elsewhere.contains(&hint.first_key()),
        }
    }

    fn missing_key(&mut self, key: &str, node: &Node, shape: &Shape, path: &str) {
        let Some(inner) = shape.property(key) else { return };
        let help = meaning(&inner, key);
        let (message, label) = if path.is_empty() && inner.forms() == [Form::Table] {
            let label = format!("expected a section [{key}]: {}", inner.words());
            (format!("the section [{key}] is missing"), label)
        } else {
            let message = format!("`{}` is missing", join(path, key));
            (message, format!("expected a key `{key}`: {}", inner.words_with_range()))
        };
        self.fault(message, node.span, label, help);
    }
}

/// The keys of one table once its tags are read.
#[derive(Default)]
struct Active<'s> {
    fields: Vec<(&'s str, &'s serde_json::Value)>,
    required: Vec<&'s str>,
    any_key: Option<&'s serde_json::Value>,
    open: bool,
    /// Tags: already checked.
    settled: Vec<String>,
    /// The tags with the values they have.
    kinds: Vec<(String, String)>,
    /// A tag is missing or unknown: keys of any of its variants pass unchecked.
    undecided: bool,
}

fn accepts(form: Form, node: &Node) -> bool {
    matches!(
        (form, &node.value),
        (Form::Text, Value::String(_))
            | (Form::Integer, Value::Integer(_))
            | (Form::Number, Value::Integer(_) | Value::Float(_))
            | (Form::Boolean, Value::Boolean(_))
            | (Form::List, Value::Array(_))
            | (Form::Table, Value::Table(_))
    )
}

/// The meaning of the key at the end of `path`, if it is documented.
fn meaning(shape: &Shape, path: &str) -> Option<String> {
    let key = path.rsplit('.').next().unwrap_or(path);
    let summary = shape.summary();
    (!summary.is_empty()).then(|| format!("`{key}`: {summary}"))
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        brief(key)
    } else {
        format!("{path}.{}", brief(key))
    }
}
