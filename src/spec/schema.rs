//! The JSON Schema of experiment files, for completion and checks in editors.
//!
//! It is the derived schema of one variant's spec, with the keys of the whole file, with variants as patches (every
//! key may be missing, and keys of any kind may stand beside each other), and with the grid.

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::header::Header;
use super::shape::{Form, Shape};

/// Patches of options inside options inside options are described to this depth, and free below.
const DEPTH: usize = 6;

/// The schema of files whose variants are `T`s.
pub fn of_files<T: JsonSchema>() -> Value {
    let spec = schemars::schema_for!(T).to_value();
    let header = schemars::schema_for!(Header).to_value();
    let shape = Shape::new(&spec, &spec);
    let mut properties: Map<String, Value> = own(&Shape::new(&header, &header)).collect();
    properties.extend(own(&shape).map(|(key, schema)| (key, closed(schema, &spec))));
    let mut patch = patch(&spec, &shape, DEPTH);
    patch["properties"]["name"] = json!({ "type": "string", "minLength": 1, "description": "Names the variant." });
    patch["required"] = json!(["name"]);
    properties.insert(
        "variant".into(),
        json!({
            "description": "What is compared: each variant has a name and the keys that it changes.",
            "type": "array", "minItems": 1, "items": patch,
        }),
    );
    properties.insert("grid".into(), grid());
    let definitions = [&spec, &header]
        .into_iter()
        .filter_map(|schema| schema.get("$defs")?.as_object());
    let definitions: Map<String, Value> = definitions.flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "latent-lab experiment",
        "type": "object",
        "properties": properties,
        "required": ["question", "seeds"],
        "additionalProperties": false,
        "$defs": definitions,
    })
}

fn own(shape: &Shape) -> impl Iterator<Item = (String, Value)> {
    shape.properties().map(|(key, schema)| (key.to_owned(), schema.clone()))
}

fn grid() -> Value {
    json!({
        "description": "Names of keys in quotes, each with a list of values. Every variant is run with every combination.",
        "type": "object",
        "additionalProperties": { "anyOf": [{ "type": "array", "minItems": 1 }, { "type": "object" }] },
    })
}

/// A section refuses keys that neither it nor its kind has.
fn closed(mut schema: Value, root: &Value) -> Value {
    let is_table = Shape::new(&schema, root).forms() == [Form::Table];
    if let (true, Value::Object(map)) = (is_table, &mut schema) {
        map.insert("unevaluatedProperties".into(), false.into());
    }
    schema
}

/// What may be laid over a value: for a table any of its keys, else the value itself.
fn patch(schema: &Value, shape: &Shape, depth: usize) -> Value {
    let mut keys: Vec<(&str, Vec<&Value>)> = Vec::new();
    collect(shape, &mut keys);
    if shape.forms() != [Form::Table] || !shape.alternatives.is_empty() || keys.is_empty() {
        return schema.clone();
    }
    if depth == 0 {
        return json!({ "type": "object" });
    }
    let properties: Map<String, Value> = keys
        .into_iter()
        .map(|(key, schemas)| {
            let mut patches: Vec<Value> = Vec::new();
            for schema in schemas {
                let patch = patch(schema, &shape.inner(schema), depth - 1);
                if !patches.contains(&patch) {
                    patches.push(patch);
                }
            }
            let one = if patches.len() == 1 {
                patches.remove(0)
            } else {
                json!({ "anyOf": patches })
            };
            (key.to_owned(), one)
        })
        .collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// The keys of a table in all its variants, each with all its schemas.
fn collect<'s>(shape: &Shape<'s>, keys: &mut Vec<(&'s str, Vec<&'s Value>)>) {
    for (key, schema) in shape.properties() {
        match keys.iter_mut().find(|(known, _)| *known == key) {
            Some((_, schemas)) => schemas.push(schema),
            None => keys.push((key, vec![schema])),
        }
    }
    for (_, variant) in shape.tagged.iter().flat_map(|tagged| &tagged.variants) {
        collect(variant, keys);
    }
}
