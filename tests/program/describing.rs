//! The program's own documentation: lists, descriptions with examples that run, the schema, completions.

use crate::laboratory::Laboratory;
use latent_lab::spec::check::check;
use latent_lab::spec::shape::Shape;
use latent_lab::spec::tree::{self, Sources};
use std::collections::BTreeSet;
use std::path::Path;

fn names(laboratory: &Laboratory, kind: &str) -> Vec<String> {
    let json = laboratory.say(&["list", kind, "--json"]).expect(0).json();
    let items = json.as_array().expect("a list");
    assert!(
        items
            .iter()
            .all(|item| item["summary"].as_str().is_some_and(|text| text.len() > 5)),
        "{json}"
    );
    items
        .iter()
        .map(|item| item["name"].as_str().expect("a name").to_owned())
        .collect()
}

/// The file at the end of a description, as the user would copy it.
fn example(description: &str) -> String {
    let text = description
        .split("An example that runs:\n\n")
        .nth(1)
        .expect("an example");
    text.lines()
        .map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line)))
        .collect()
}

/// Runs the command in the comment of an example that makes the file of the example.
fn make_files(laboratory: &Laboratory, example: &str) {
    let comment: Vec<&str> = example
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .skip(1)
        .collect();
    if !comment.is_empty() {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &comment.join("\n")]).current_dir(laboratory.path(""));
        assert!(shell.status().expect("a shell").success(), "{comment:?}");
    }
}

fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every kind that the schema has in `section` is listed as a `kind`; its description has the line of the list and all its
/// keys, and an example of it that runs as it stands.
fn describes(kind: &str, section: &str) {
    let laboratory = Laboratory::new();
    let json = laboratory.say(&["list", kind, "--json"]).expect(0).json();
    let names = names(&laboratory, kind);
    let kinds = crate::keys::kinds_of(section);
    let known: BTreeSet<&String> = kinds.keys().collect();
    assert!(
        known.is_empty() || known == names.iter().collect(),
        "{names:?} and {known:?}"
    );
    let table = laboratory.say(&["list", kind]).expect(0);
    assert_eq!(table.out.lines().count(), names.len() + 2, "{}", table.out);
    for (number, name) in names.iter().enumerate() {
        let said = laboratory.say(&["describe", kind, name]).expect(0);
        // The first line is the name that was asked for.
        let (_, page) = said.out.split_once('\n').expect("lines");
        let summary = json[number]["summary"].as_str().expect("a line");
        assert!(flat(page).contains(&flat(summary)), "{summary}\n{page}");
        for key in kinds.get(name).into_iter().flatten() {
            let is_its_line = |line: &str| line.starts_with(&format!("  {key} "));
            assert!(page.lines().any(is_its_line), "{kind} {name} lacks {key}:\n{page}");
        }
        let example = example(&said.out);
        assert!(example.contains(&format!("= {name:?}")), "{name}: {example}");
        let laboratory = Laboratory::with(&example);
        make_files(&laboratory, &example);
        laboratory
            .with_stand_ins(&["run", "e.toml", "--quiet", "--seeds", "1"])
            .expect(0);
    }
}

#[test]
fn models() {
    describes("model", "model");
}

#[test]
fn posteriors() {
    describes("posterior", "posterior");
}

#[test]
fn objectives() {
    describes("objective", "objective");
}

#[test]
fn optimizers() {
    describes("optimizer", "training");
}

#[test]
fn sources_of_data() {
    describes("data", "data");
}

#[test]
fn environments() {
    describes("environment", "environment");
}

/// `list` and `describe` without a kind say what there is.
#[test]
fn without_a_kind_the_kinds_are_listed() {
    let laboratory = Laboratory::new();
    let listed = laboratory.say(&["list"]).expect(0);
    assert_eq!(laboratory.say(&["describe"]).expect(0).out, listed.out);
    let json = laboratory.say(&["list", "--json"]).expect(0).json();
    let kinds = json.as_array().expect("a list");
    assert_eq!(listed.out.lines().count(), kinds.len() + 6, "{}", listed.out);
    for kind in kinds {
        let name = kind["name"].as_str().expect("a name");
        let count = kind["count"].as_u64().expect("a count");
        assert!(listed.out.contains(&format!("{name} ")), "{}", listed.out);
        assert_eq!(names(&laboratory, name).len() as u64, count, "{name}");
        let described = laboratory.say(&["describe", name]).expect(0);
        assert!(described.out.lines().count() > 4, "{}", described.out);
    }
}

/// Everything that `list` prints can be described, as text and as JSON.
#[test]
fn every_name_is_described() {
    let laboratory = Laboratory::new();
    let kinds = laboratory.say(&["list", "--json"]).expect(0).json();
    for kind in kinds.as_array().expect("a list") {
        let kind = kind["name"].as_str().expect("a name");
        for name in names(&laboratory, kind) {
            let json = laboratory.say(&["describe", kind, &name, "--json"]).expect(0).json();
            assert!(
                json.as_object().is_some_and(|page| page.len() > 2),
                "{kind} {name}: {json}"
            );
        }
    }
}

#[test]
fn a_name_alone_is_enough() {
    let laboratory = Laboratory::new();
    let out = |words: &[&str]| laboratory.say(&[&["describe"], words].concat()).expect(0).out;
    assert_eq!(out(&["gaussian_mixture"]), out(&["model", "gaussian_mixture"]));
    assert_eq!(out(&["test/baseline"]), out(&["metric", "test/baseline"]));
    assert_eq!(out(&["early_stopping"]), out(&["training", "early_stopping"]));
    assert_eq!(
        out(&["training.early_stopping.patience"]),
        out(&["training", "early_stopping", "patience"])
    );
    let said = laboratory.say(&["describe", "linear_gaussian"]).expect(2);
    for line in ["describe model linear_gaussian", "describe data linear_gaussian"] {
        assert!(said.err.contains(line), "{}", said.err);
    }
    let said = laboratory.say(&["describe", "gausian_mixture"]).expect(2);
    assert!(said.err.contains("did you mean `gaussian_mixture`?"), "{}", said.err);
    let said = laboratory.say(&["describe", "modle", "gaussian"]).expect(2);
    assert!(said.err.contains("did you mean `model`?"), "{}", said.err);
}

/// Descriptions also cover keys inside keys, the other tables, columns, initial values and baselines.
#[test]
fn keys_of_every_table_are_described() {
    let laboratory = Laboratory::new();
    for (words, parts) in [
        (
            &["training", "early_stopping"][..],
            &["patience", "validation log-likelihood", "optimizer = \"adam\""][..],
        ),
        (&["training"], &["early_stopping", "tolerance", "k-means++"]),
        (
            &["training", "initial_values"],
            &["k-means++", "starts", "initial_values"],
        ),
        (&["optimizer", "em"], &["k-means++"]),
        (
            &["evaluation"],
            &["metrics", "rollout", "episodes", "horizon", "warm_up", "environment"],
        ),
        (
            &["environment", "tree"],
            &[
                "control_interval",
                "observation: 2 numbers",
                "success:",
                "oracle:",
                "random:",
            ],
        ),
        (
            &["environment", "pendulum_v1"],
            &[
                "θ̇'",
                "torque from -2 to 2",
                "longest episode: 200 steps",
                "success: not declared",
                "random:",
            ],
        ),
        (
            &["data", "demonstrations"],
            &["environment", "\"cart_pole_v1\"", "count demonstrations"],
        ),
        (&["variant"], &["[[variant]]", "name"]),
        (&["grid"], &["training.learning_rate"]),
        (&["seeds"], &["20..30"]),
        (&["experiment"], &["question", "seeds", "evaluation", "variant", "grid"]),
        (
            &["data", "tree"],
            &[
                "given columns: x, y (2)",
                "observed columns: heading (1)",
                "default 1000",
            ],
        ),
        (&["data", "lgssm"], &["the steps of sequences"]),
        (&["metric", "test/baseline"], &["Gaussian"]),
        (&["metric", "test/oracle"], &["generator"]),
        (&["metric", "steps"], &["unit: steps"]),
        (
            &["model.components"],
            &["kind = \"gaussian_mixture\"", "kind = \"conditional_mixture\""],
        ),
    ] {
        let out = laboratory.say(&[&["describe"], words].concat()).expect(0).out;
        let flat = out.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in parts {
            assert!(flat.contains(part), "{words:?} lacks {part:?}:\n{out}");
        }
    }
    let file = laboratory.say(&["describe", "data", "file"]).expect(0).out;
    for key in ["  train ", "  test ", "  population "] {
        assert!(!file.contains(key), "{key} is for generators:\n{file}");
    }
}

#[test]
fn supported_combinations_are_few_lines() {
    let out = Laboratory::new().say(&["describe", "optimizer", "adam"]).expect(0).out;
    let table = out.split("Supported combinations").nth(1).expect("a table");
    let rows = table.split("An example").next().expect("an end").lines().count();
    assert!(rows < 40, "{rows} lines:\n{table}");
}

#[test]
fn metrics_and_figures() {
    let laboratory = Laboratory::new();
    for (kind, parts) in [("metric", ["unit:", "better:"]), ("figure", ["drawn from:", ".toml"])] {
        for name in names(&laboratory, kind) {
            let said = laboratory.say(&["describe", kind, &name]).expect(0);
            assert!(parts.iter().all(|part| said.out.contains(part)), "{}", said.out);
        }
    }
}

/// Every key of a table stands in its description with its type, and with its default where it has one.
#[test]
fn keys_are_described_with_type_default_and_range() {
    let laboratory = Laboratory::new();
    let text = |kind, name| laboratory.say(&["describe", kind, name]).expect(0).out;
    insta::assert_snapshot!("describe_model", text("model", "conditional_mixture"));
    insta::assert_snapshot!("describe_optimizer", text("optimizer", "em"));
    insta::assert_snapshot!("describe_data", text("data", "file"));
}

#[test]
fn a_slip_in_a_name_gets_a_suggestion() {
    let laboratory = Laboratory::new();
    let said = laboratory.say(&["describe", "model", "gausian"]).expect(2);
    assert!(said.err.contains("did you mean `gaussian`?"), "{}", said.err);
    let said = laboratory.say(&["describe", "model", "zebra"]).expect(2);
    assert!(said.err.contains("There are: gaussian, "), "{}", said.err);
}

#[test]
fn the_schema_accepts_every_experiment_and_refuses_slips() {
    let said = Laboratory::new().say(&["schema"]).expect(0);
    let schema = said.json();
    let faults = |text: &str| {
        let mut sources = Sources::default();
        let source = sources.add("file", text);
        let (root, faults) = tree::parse(&sources, source);
        assert_eq!(faults, []);
        check(&root, &Shape::new(&schema, &schema), &[], false)
    };
    let mut count = 0;
    for folder in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments")).expect("experiments") {
        for file in std::fs::read_dir(folder.expect("an entry").path()).expect("a folder") {
            let path = file.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let text = std::fs::read_to_string(&path).expect("a text");
                assert_eq!(faults(&text), [], "{}", path.display());
                assert_eq!(faults(&format!("sedes = 3\n{text}")).len(), 1, "{}", path.display());
                count += 1;
            }
        }
    }
    assert!(count >= 10, "only {count} experiments");
}

#[test]
fn every_shipped_experiment_is_sound() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let mut files = Vec::new();
    for folder in std::fs::read_dir(root).expect("experiments") {
        for file in std::fs::read_dir(folder.expect("an entry").path()).expect("a folder") {
            files.push(file.expect("an entry").path().display().to_string());
        }
    }
    files.retain(|file| file.ends_with(".toml"));
    let mut line = vec!["check"];
    line.extend(files.iter().map(String::as_str));
    let said = Laboratory::new().with_stand_ins(&line).expect(0);
    assert_eq!((said.out.lines().count(), said.err.as_str()), (files.len(), ""));
}

/// A table inside a section whose keys depend on its kind: every kind is described with its own keys, to the right of it
/// and within the terminal.
#[test]
fn kinds_of_inner_tables_are_described_with_their_keys() {
    let laboratory = Laboratory::new();
    let page = laboratory.say(&["describe", "model", "neural_ssm"]).expect(0).out;
    let after = page.split("\n  transition ").nth(1).expect("the key");
    let table = after.split("\n\n").next().expect("its text");
    let linear = table
        .split("\n    \"linear\": A x + B u + b.\n")
        .nth(1)
        .expect("a kind");
    let linear = linear.split("\n    \"").next().expect("its keys");
    for key in ["matrix", "input", "offset"] {
        let begins = |line: &str| line.starts_with(&format!("        {key} "));
        assert!(linear.lines().any(begins), "{key}: {linear}");
    }
    assert!(
        table.contains("\n    \"locally_linear\": ") && table.contains("\n        matrices  a whole number"),
        "{table}"
    );
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    let json = laboratory
        .say(&["describe", "model", "neural_ssm", "--json"])
        .expect(0)
        .json();
    let with_name = |list: &serde_json::Value, name: &str| {
        let found = list.as_array().expect("a list").iter().find(|one| one["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {list}")).clone()
    };
    let gated = with_name(&with_name(&json["keys"], "transition")["kinds"], "gated");
    assert_eq!(with_name(&gated["keys"], "activation")["default"], "\"relu\"");
    assert!(
        gated["text"][0]
            .as_str()
            .is_some_and(|text| text.starts_with("(1 − g)")),
        "{gated}"
    );
}
