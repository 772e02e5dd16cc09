//! Every key of every kind acts: with another value, a small experiment in which it matters ends with other parameters,
//! or with other metrics if the key is for metrics, or is refused with exit code 2.
//!
//! The keys are read from the schema, so a new key fails this test until the table says where it acts.

use crate::laboratory::Laboratory;
use latent_lab::record;
use latent_lab::runner::{Experiment, Fresh, Options, Outcome, Watcher, execute};
use latent_lab::train::metrics;
use schemars::schema_for;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;

/// The table: see its head.
const TABLE: &str = include_str!("keys.toml");

#[derive(serde::Deserialize)]
struct Table {
    /// Experiments by name.
    base: BTreeMap<String, String>,
    /// For each key: the experiment, the change, and what the change does.
    key: BTreeMap<String, (String, String, Act)>,
}

/// What another value of a key changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Act {
    Parameters,
    Metrics,
    Comparison,
    Refused,
}

fn table() -> Table {
    toml::from_str(TABLE).unwrap_or_else(|error| panic!("{error}"))
}

/// The keys below `schema` as dotted paths; of options inside options those inside.
fn keys(schema: &Value, root: &Value, prefix: &str, found: &mut BTreeSet<String>) {
    let schema = resolve(schema, root);
    for name in ["anyOf", "oneOf", "allOf"] {
        for part in schema.get(name).and_then(Value::as_array).into_iter().flatten() {
            keys(part, root, prefix, found);
        }
    }
    for (key, inner) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        if resolve(inner, root).get("const").is_some() {
            continue; // The name of the kind.
        }
        let path = format!("{prefix}.{key}");
        let mut deeper = BTreeSet::new();
        keys(inner, root, &path, &mut deeper);
        let is_also_a_value = resolve(inner, root).get("properties").is_none();
        if deeper.is_empty()
            || is_also_a_value
                && ["temperature", "rollout.environment", "control.environment"]
                    .iter()
                    .any(|end| path.ends_with(end))
        {
            found.insert(path);
        }
        found.extend(deeper);
    }
}

fn resolve<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(path) => root.pointer(path.trim_start_matches('#')).expect("a definition"),
        None => schema,
    }
}

/// The kinds of every section with the schemas of their tables, and the schema of the section.
fn sections(root: &Value) -> impl Iterator<Item = (&str, BTreeMap<&str, &Value>, &Value)> {
    let sections = root["properties"].as_object().expect("sections").iter();
    sections.map(|(section, schema)| {
        let mut schema = resolve(schema, root);
        let defaulted = schema
            .get("allOf")
            .and_then(Value::as_array)
            .map(|all| resolve(&all[0], root));
        schema = defaulted.unwrap_or(schema);
        let kinds = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
        let named = kinds.map(|kind| {
            let tags = kind["properties"].as_object().expect("a tag");
            let name = tags.values().find_map(|tag| tag.get("const")?.as_str());
            (name.expect("a kind"), kind)
        });
        (section.as_str(), named.collect(), schema)
    })
}

/// Every key as `section.kind.key`, or `section.*.key` where all kinds of a section share it.
fn all_keys() -> BTreeSet<String> {
    let root = schema_for!(latent_lab::spec::Spec).to_value();
    let mut found = BTreeSet::new();
    for (section, kinds, schema) in sections(&root) {
        for (name, kind) in kinds {
            keys(kind, &root, &format!("{section}.{name}"), &mut found);
        }
        let own = serde_json::json!({ "properties": schema.get("properties").cloned().unwrap_or_default() });
        keys(&own, &root, &format!("{section}.*"), &mut found);
    }
    found
}

/// The kinds of a section of the experiment file, each with the keys of its own (without those inside keys); none where
/// there is no such section.
pub fn kinds_of(section: &str) -> BTreeMap<String, BTreeSet<String>> {
    let root = schema_for!(latent_lab::spec::Spec).to_value();
    let own = |(name, kind): (&str, &Value)| {
        let mut found = BTreeSet::new();
        keys(kind, &root, "", &mut found);
        let first = |path: String| path.split('.').nth(1).unwrap_or_default().to_owned();
        (name.to_owned(), found.into_iter().map(first).collect())
    };
    let kinds = sections(&root)
        .find(|(name, ..)| *name == section)
        .map(|(_, kinds, _)| kinds);
    kinds.into_iter().flatten().map(own).collect()
}

#[test]
fn every_key_of_the_schema_is_in_the_table_and_no_other() {
    let table: BTreeSet<String> = table().key.into_keys().collect();
    let keys = all_keys();
    assert!(keys.len() > 150, "{keys:?}");
    let missing: Vec<_> = keys.difference(&table).collect();
    let unknown: Vec<_> = table.difference(&keys).collect();
    assert!(missing.is_empty(), "keys that no experiment shows to act: {missing:#?}");
    assert!(unknown.is_empty(), "keys that do not exist: {unknown:#?}");
}

struct Nobody;

impl Watcher for Nobody {
    fn started(&self, _: usize) {}
    fn progressed(&self, _: usize, _: u64, _: u64) {}
    fn finished(&self, _: usize, _: &Outcome) {}
}

/// What a run leaves: its parameters, and all its metrics.
#[derive(PartialEq)]
struct Left {
    theta: BTreeMap<String, (Vec<usize>, Vec<u8>)>,
    metrics: String,
}

fn left(run: &latent_lab::runner::PlannedRun) -> Left {
    let dir = run.address.dir();
    let checkpoint = record::read_checkpoint(&dir).expect("a checkpoint");
    let own = checkpoint.tensors.iter().filter(|(name, _)| name.starts_with("theta/"));
    let bytes = |tensor: &candle_core::Tensor| {
        let values = tensor
            .flatten_all()
            .and_then(|t| t.to_dtype(candle_core::DType::F64)?.to_vec1::<f64>());
        let values = values.expect("numbers");
        (
            tensor.dims().to_vec(),
            values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        )
    };
    let record = record::read_run(&dir).expect("a record");
    for name in record.manifest.metrics.keys() {
        let known = metrics::find(name).is_some_and(|metric| metric.name == *name);
        assert!(known, "`describe metric` does not know {name}");
    }
    let lines: Vec<String> = record.metrics.iter().map(|line| format!("{line:?}")).collect();
    Left {
        theta: own.map(|(name, tensor)| (name.clone(), bytes(tensor))).collect(),
        metrics: format!("{lines:?} {:?}", record.manifest.metrics),
    }
}

/// The experiment file of `base` with these patches as variants.
fn file(base: &str, variants: &[(&str, &str)]) -> String {
    let mut text = format!("question = \"Does it act?\"\nseeds = 1\n{base}\n[[variant]]\nname = \"base\"\n");
    for (key, change) in variants {
        text += &format!("[[variant]]\nname = {key:?}\n{change}\n");
    }
    text
}

#[test]
fn every_key_acts_or_is_refused() {
    let table = table();
    let mut by_base: BTreeMap<&str, Vec<(&str, &str, Act)>> = BTreeMap::new();
    for (key, (base, change, act)) in &table.key {
        by_base.entry(base).or_default().push((key, change, *act));
    }
    let mut idle = Vec::new();
    for (base, changes) in by_base {
        let text = |variants: &[(&str, &str)]| file(&table.base[base], variants);
        let acting: Vec<_> = changes.iter().filter(|(_, _, act)| *act != Act::Refused).collect();
        let variants: Vec<(&str, &str)> = acting.iter().map(|(key, change, _)| (*key, *change)).collect();
        let laboratory = with_files(Laboratory::with(&text(&variants)));
        let experiment = Experiment::load(&laboratory.path("e.toml"), &[], &laboratory.path("results"))
            .unwrap_or_else(|faults| panic!("{base}: {}", faults.render(false)));
        let runs = experiment.runs().expect("runs");
        let options = Options {
            jobs: 4,
            fresh: Fresh::None,
            interrupt: &AtomicBool::new(false),
        };
        let outcomes = execute(&runs, options, &Nobody).expect("records");
        for (run, outcome) in runs.iter().zip(&outcomes) {
            assert_eq!(*outcome, Outcome::Done, "{base}: {}", run.address.variant);
        }
        let without = left(&runs[0]);
        for ((key, _, act), run) in acting.iter().zip(&runs[1..]) {
            let with = left(run);
            let acts = match act {
                Act::Parameters => with.theta != without.theta,
                Act::Metrics => with.metrics != without.metrics,
                Act::Comparison => run.spec.evaluation != runs[0].spec.evaluation,
                Act::Refused => true,
            };
            if !acts {
                idle.push(*key);
            }
        }
        for (key, change, _) in changes.iter().filter(|(_, _, act)| *act == Act::Refused) {
            let laboratory = with_files(Laboratory::with(&text(&[(*key, *change)])));
            match latent_lab::spec::load_experiment(&laboratory.path("e.toml"), &[]) {
                Ok(_) => idle.push(*key),
                Err(faults) => {
                    let name = key.rsplit('.').next().expect("a name");
                    let text = faults.render(false);
                    assert!(text.contains(name), "{key}: {text}");
                }
            }
        }
    }
    assert!(idle.is_empty(), "keys that change nothing: {idle:#?}");
}

/// The data files that some experiments read.
fn with_files(laboratory: Laboratory) -> Laboratory {
    let mut rows = String::from("a,b,c,w,e,f,t\n");
    let mut other = rows.clone();
    let mut binary = String::from("p,q\n");
    // Between commas or between semicolons, there is a column x.
    let mut text = String::from("tag;x;n,x\n");
    for i in 0..60_u32 {
        let x = f64::from(i * 37 % 60) / 60.0;
        let y = f64::from(i * 23 % 60) / 60.0;
        // Time skips a step in each episode.
        let t = i % 20 + u32::from(i % 20 > 9);
        let (e, f, w) = (i / 20, i / 30, 0.5 + y);
        rows += &format!("{},{},{y},{w},{e},{f},{t}\n", x + y * y, (5.0 * x).sin() + y);
        other += &format!("{},{},{y},{w},{e},{f},{t}\n", x - y, x * y);
        text += &format!(
            "{};{x:.1};{},{:.1}\n",
            if i % 3 == 0 { "%" } else { "a" },
            i % 5,
            2.0 * y
        );
        binary += &format!("{},{}\n", i * 7 % 3 % 2, i * 5 % 4 % 2);
    }
    laboratory
        .and("rows.csv", rows)
        .and("other.csv", other)
        .and("binary.csv", binary)
        .and("text.csv", text)
}
