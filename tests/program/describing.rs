//! What the program says of itself: lists, descriptions with examples that run, the schema, completions.

use crate::laboratory::Laboratory;
use latent_lab::spec::check::check;
use latent_lab::spec::shape::Shape;
use latent_lab::spec::tree::{self, Sources};
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

/// Every description of `kind` names the keys of what it describes, and its example runs as it stands.
fn describes(kind: &str, least: usize) {
    let laboratory = Laboratory::new();
    let names = names(&laboratory, kind);
    assert!(names.len() >= least, "{names:?}");
    let table = laboratory.say(&["list", kind]).expect(0);
    assert_eq!(table.out.lines().count(), names.len() + 2, "{}", table.out);
    for name in names {
        let said = laboratory.say(&["describe", kind, &name]).expect(0);
        assert!(said.out.contains(&name));
        let points: String = (0..30)
            .map(|i| format!("{},{}\n", 0.1 * f64::from(i), f64::from(i * 7 % 11)))
            .collect();
        let laboratory = Laboratory::with(&example(&said.out)).and("points.csv", format!("x,y\n{points}"));
        laboratory.say(&["run", "e.toml", "--quiet", "--seeds", "1"]).expect(0);
    }
}

#[test]
fn models() {
    describes("model", 4);
}

#[test]
fn posteriors() {
    describes("posterior", 3);
}

#[test]
fn objectives() {
    describes("objective", 4);
}

#[test]
fn optimizers() {
    describes("optimizer", 2);
}

#[test]
fn sources_of_data() {
    describes("data", 9);
}

#[test]
fn metrics_and_figures() {
    let laboratory = Laboratory::new();
    for (kind, parts) in [("metric", ["unit:", "better"]), ("figure", ["drawn from:", ".toml"])] {
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
    let said = Laboratory::new().say(&line).expect(0);
    assert_eq!((said.out.lines().count(), said.err.as_str()), (files.len(), ""));
}

#[test]
fn completions_name_every_verb() {
    let verbs = [
        "run",
        "check",
        "plan",
        "list",
        "describe",
        "compare",
        "figure",
        "completions",
        "schema",
    ];
    for shell in ["bash", "zsh", "fish"] {
        let said = Laboratory::new().say(&["completions", shell]).expect(0);
        assert!(verbs.iter().all(|verb| said.out.contains(verb)), "{shell}");
        assert!(said.out.contains("latent-lab"), "{shell}");
    }
}
