//! The parts of a JSON schema that experiment files need: keys, kinds, choices and ranges.
//!
//! The schema is derived from the option structs, which are the only place where a key is declared. [`Shape`] hides the
//! details of the derivation: `$ref`, `allOf`, the `null` of an option, one alternative per variant of a tagged
//! enumeration, one constant per choice.

use crate::kind::either;
use serde_json::{Map, Value};

/// What a schema says about one value.
#[derive(Clone, Debug)]
pub struct Shape<'s> {
    root: &'s Value,
    parts: Vec<&'s Map<String, Value>>,
    /// Internally tagged enumerations whose keys lie in this table.
    pub tagged: Vec<Tagged<'s>>,
    /// The accepted texts, if the value is one of a few.
    pub choices: Vec<Choice<'s>>,
    /// Alternatives of which one must hold, if the value may have several forms.
    pub alternatives: Vec<Shape<'s>>,
}

/// An internally tagged enumeration: the key `tag` decides which other keys there are.
#[derive(Clone, Debug)]
pub struct Tagged<'s> {
    /// The key that decides, such as `kind`.
    pub tag: &'s str,
    /// Whether the tag may be left out.
    pub optional: bool,
    /// Its values and the keys that they add.
    pub variants: Vec<(&'s str, Shape<'s>)>,
}

/// One of the texts that a value may be.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'s> {
    /// The text.
    pub name: &'s str,
    /// What it means.
    pub doc: &'s str,
}

/// The forms of a value that TOML can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list.
    List,
    /// A table.
    Table,
}

impl Form {
    /// The form in words, with its article.
    pub fn words(self) -> &'static str {
        match self {
            Form::Text => "text",
            Form::Integer => "a whole number",
            Form::Number => "a number",
            Form::Boolean => "true or false",
            Form::List => "a list",
            Form::Table => "a table",
        }
    }

    fn from_schema(name: &str) -> Option<Self> {
        Some(match name {
            "string" => Form::Text,
            "integer" => Form::Integer,
            "number" => Form::Number,
            "boolean" => Form::Boolean,
            "array" => Form::List,
            "object" => Form::Table,
            _ => return None,
        })
    }
}

impl<'s> Shape<'s> {
    /// Reads a schema; `root` is the document in which its references are looked up.
    pub fn new(schema: &'s Value, root: &'s Value) -> Self {
        let mut shape = Self {
            root,
            parts: Vec::new(),
            tagged: Vec::new(),
            choices: Vec::new(),
            alternatives: Vec::new(),
        };
        shape.absorb(schema);
        shape
    }

    fn absorb(&mut self, schema: &'s Value) {
        let Value::Object(map) = schema else { return };
        self.parts.push(map);
        let doc = map.get("description").and_then(Value::as_str).unwrap_or("");
        let constant = map.get("const").and_then(Value::as_str);
        self.choices.extend(constant.map(|name| Choice { name, doc }));
        let names = list(map, "enum").iter().filter_map(Value::as_str);
        self.choices.extend(names.map(|name| Choice { name, doc: "" }));
        if let Some(target) = map.get("$ref").and_then(Value::as_str)
            && let Some(schema) = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer))
        {
            self.absorb(schema);
        }
        for schema in list(map, "allOf") {
            self.absorb(schema);
        }
        for key in ["oneOf", "anyOf"] {
            if map.contains_key(key) {
                self.absorb_alternatives(list(map, key));
            }
        }
    }

    fn absorb_alternatives(&mut self, schemas: &'s [Value]) {
        let says_nothing = |schema: &&Value| schema.as_object().is_some_and(Map::is_empty);
        let is_null = |schema: &&Value| schema.get("type").and_then(Value::as_str) == Some("null");
        let optional = schemas.iter().any(|schema| says_nothing(&schema));
        let real: Vec<&Value> = schemas
            .iter()
            .filter(|schema| !says_nothing(schema) && !is_null(schema))
            .collect();
        if let [only] = real[..] {
            self.absorb(only);
        } else {
            let shapes: Vec<Shape> = real.iter().map(|schema| Shape::new(schema, self.root)).collect();
            if shapes.iter().all(|shape| !shape.choices.is_empty()) {
                self.choices.extend(shapes.into_iter().flat_map(|shape| shape.choices));
            } else if let Some(tagged) = Tagged::read(&shapes) {
                self.tagged.push(tagged);
            } else {
                self.alternatives.extend(shapes);
            }
        }
        if optional {
            self.tagged.iter_mut().for_each(|tagged| tagged.optional = true);
        }
    }

    /// The forms that the value may have; empty if every form is accepted.
    pub fn forms(&self) -> Vec<Form> {
        let mut forms: Vec<Form> = self.alternatives.iter().flat_map(Shape::forms).collect();
        if !self.choices.is_empty() {
            forms.push(Form::Text);
        }
        if !self.tagged.is_empty() {
            forms.push(Form::Table);
        }
        for part in &self.parts {
            match part.get("type") {
                Some(Value::String(name)) => forms.extend(Form::from_schema(name)),
                Some(Value::Array(names)) => {
                    forms.extend(names.iter().filter_map(Value::as_str).filter_map(Form::from_schema));
                }
                _ => {}
            }
        }
        let mut unique: Vec<Form> = Vec::new();
        for form in forms {
            if !unique.contains(&form) {
                unique.push(form);
            }
        }
        unique
    }

    /// The value of a keyword such as `minItems` or `default`, from the outermost part that has it.
    pub fn keyword(&self, name: &str) -> Option<&'s Value> {
        self.parts.iter().find_map(|part| part.get(name))
    }

    /// The text that documents the value; empty if there is none.
    pub fn doc(&self) -> &'s str {
        self.keyword("description").and_then(Value::as_str).unwrap_or("")
    }

    /// The first paragraph of the documentation, on one line.
    pub fn summary(&self) -> String {
        let paragraph = self.doc().split("\n\n").next().unwrap_or("");
        paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The tagged enumerations of the value, from all of its alternatives.
    pub fn tags(&self) -> impl Iterator<Item = &Tagged<'s>> {
        self.tagged
            .iter()
            .chain(self.alternatives.iter().flat_map(|one| &one.tagged))
    }

    /// The keys of the table that do not depend on a tag, each with its schema.
    pub fn properties(&self) -> impl Iterator<Item = (&'s str, &'s Value)> {
        let maps = self.parts.iter().filter_map(|part| part.get("properties")?.as_object());
        maps.flatten().map(|(key, schema)| (key.as_str(), schema))
    }

    /// Every key that the table may have, for any tags; each once.
    pub fn all_keys(&self) -> Vec<&'s str> {
        let variants = self.tagged.iter().flat_map(|tagged| &tagged.variants);
        let own = self.properties().map(|(key, _)| key);
        let mut keys: Vec<&str> = Vec::new();
        for key in own.chain(variants.flat_map(|(_, shape)| shape.all_keys())) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// What the schema says about a key, in any of the variants.
    pub fn property(&self, key: &str) -> Option<Shape<'s>> {
        let own = self.properties().find(|(name, _)| *name == key);
        own.map(|(_, schema)| Shape::new(schema, self.root)).or_else(|| {
            let variants = self
                .tagged
                .iter()
                .flat_map(|tagged| &tagged.variants)
                .map(|(_, shape)| shape);
            variants.chain(&self.alternatives).find_map(|shape| shape.property(key))
        })
    }

    /// The keys that must be there.
    pub fn required(&self) -> impl Iterator<Item = &'s str> {
        self.parts
            .iter()
            .flat_map(|part| list(part, "required"))
            .filter_map(Value::as_str)
    }

    /// A schema inside this one, such as that of a list's items.
    pub fn inner(&self, schema: &'s Value) -> Shape<'s> {
        Shape::new(schema, self.root)
    }

    /// What the schema says about the item at an index of a list.
    pub fn item(&self, index: usize) -> Option<Shape<'s>> {
        let place = self.keyword("prefixItems").and_then(|items| items.get(index));
        place.or_else(|| self.keyword("items")).map(|schema| self.inner(schema))
    }

    /// The declared bounds of a number, below and above: `(value, is it excluded)`.
    pub fn bounds(&self) -> [Option<(f64, bool)>; 2] {
        let number = |name| self.keyword(name).and_then(Value::as_f64);
        let bound = |open, closed| {
            number(open)
                .map(|x| (x, true))
                .or_else(|| number(closed).map(|x| (x, false)))
        };
        [
            bound("exclusiveMinimum", "minimum"),
            bound("exclusiveMaximum", "maximum"),
        ]
    }

    /// The smallest and largest number that the field's type can hold, where that is narrower than TOML's 64 bits.
    pub fn type_limits(&self) -> Option<(f64, f64)> {
        match self.keyword("format").and_then(Value::as_str)? {
            "int32" => Some((i32::MIN.into(), i32::MAX.into())),
            "uint32" => Some((u32::MIN.into(), u32::MAX.into())),
            "float" => Some((f32::MIN.into(), f32::MAX.into())),
            _ => None,
        }
    }

    /// The range of a number or the length of a list, in words; empty if there is none.
    pub fn range_words(&self) -> String {
        let length = |name| self.keyword(name).and_then(Value::as_u64);
        let values = |count: u64| {
            if count == 1 {
                "1 value".into()
            } else {
                format!("{count} values")
            }
        };
        match (length("minItems"), length("maxItems")) {
            (Some(low), Some(high)) if low == high => return format!("exactly {}", values(low)),
            (Some(low), Some(high)) => return format!("{low} to {}", values(high)),
            (Some(low), None) => return format!("at least {}", values(low)),
            (None, Some(high)) => return format!("at most {}", values(high)),
            (None, None) => {}
        }
        match self.bounds() {
            [Some((low, false)), Some((high, false))] => format!("from {} to {}", plain(low), plain(high)),
            [low, high] => {
                let low = low.map(|(x, open)| format!("{} {}", if open { "above" } else { "at least" }, plain(x)));
                let high = high.map(|(x, open)| format!("{} {}", if open { "below" } else { "at most" }, plain(x)));
                low.into_iter().chain(high).collect::<Vec<_>>().join(" and ")
            }
        }
    }

    /// What the value may be with its range: `a whole number from 1 to 100`, `a number above 0`.
    pub fn words_with_range(&self) -> String {
        let (words, range) = (self.words(), self.range_words());
        match &range[..] {
            "" => words,
            _ if self.forms() == [Form::List] => format!("{words}, {range}"),
            _ if range.starts_with("at ") => format!("{words} of {range}"),
            _ => format!("{words} {range}"),
        }
    }

    /// What the value may be, in words: `a list of whole numbers`, `"x" or "y"`.
    pub fn words(&self) -> String {
        if !self.choices.is_empty() {
            return one_of(self.choices.iter().map(|choice| choice.name));
        }
        if !self.alternatives.is_empty() {
            return either(&self.alternatives.iter().map(Shape::words).collect::<Vec<_>>());
        }
        if let [tagged] = &self.tagged[..] {
            let names = tagged.variants.iter().map(|(name, _)| *name);
            return format!("a table with `{}` = {}", tagged.tag, one_of(names));
        }
        let forms = self.forms();
        if let [Form::List] = forms[..]
            && let Some(item) = self.item(0)
            && let [form] = item.forms()[..]
            && item.choices.is_empty()
        {
            let plural = match form {
                Form::Text => "texts",
                Form::Integer => "whole numbers",
                Form::Number => "numbers",
                Form::Boolean => "true or false",
                Form::List => "lists",
                Form::Table => "tables",
            };
            return format!("a list of {plural}");
        }
        if forms.is_empty() {
            return "any value".into();
        }
        either(&forms.iter().map(|form| form.words().to_owned()).collect::<Vec<_>>())
    }
}

impl<'s> Tagged<'s> {
    /// Shapes that all have one key of one constant text each are the variants of an enumeration.
    fn read(shapes: &[Shape<'s>]) -> Option<Self> {
        let constant = |shape: &Shape<'s>, tag: &str| {
            let (_, schema) = shape.properties().find(|(key, _)| *key == tag)?;
            schema.get("const")?.as_str()
        };
        let tag = shapes
            .first()?
            .properties()
            .find_map(|(key, schema)| schema.get("const").map(|_| key))?;
        let names: Option<Vec<&str>> = shapes.iter().map(|shape| constant(shape, tag)).collect();
        Some(Self {
            tag,
            optional: false,
            variants: names?.into_iter().zip(shapes.iter().cloned()).collect(),
        })
    }

    /// The keys that a value of the tag adds.
    pub fn variant(&self, name: &str) -> Option<&Shape<'s>> {
        self.variants
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, shape)| shape)
    }
}

/// A number as people write it, with an exponent if it is very large or very small.
fn plain(x: f64) -> String {
    match x.abs() {
        size if size == 0.0 || (1e-4..1e15).contains(&size) => x.to_string(),
        _ => format!("{x:e}"),
    }
}

/// Texts in quotes with a final "or".
pub fn one_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    either(&names.map(|name| format!("{name:?}")).collect::<Vec<_>>())
}

fn list<'s>(map: &'s Map<String, Value>, key: &str) -> &'s [Value] {
    map.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
