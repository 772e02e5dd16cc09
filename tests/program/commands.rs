//! Every verb with its flags: what it prints, what it writes, and its exit code.

use crate::laboratory::{Laboratory, SMALL};
use std::io::Read;
use std::process::Stdio;

/// `SMALL` with a variant whose density no f32 can hold.
fn failing() -> String {
    let bad =
        "[[variant]]\nname = \"bad\"\nmodel.fixed_deviation = 1e-300\ntraining = { optimizer = \"adam\", steps = 2 }\n";
    format!("{SMALL}{bad}")
}

#[test]
fn run_ends_in_a_table_a_summary_and_figures() {
    let laboratory = Laboratory::with(SMALL);
    let said = laboratory.say(&["run", "e.toml"]).expect(0);
    for part in [
        "How many clusters?",
        "test/log_likelihood",
        "two",
        "three",
        "oracle",
        "baseline",
        "2/2",
        "figures:",
    ] {
        assert!(said.out.contains(part), "no {part:?} in {}", said.out);
    }
    assert!(
        said.err.lines().all(|line| line.contains(": done in ")),
        "bars or warnings: {}",
        said.err
    );
    assert!(!said.out.contains('\u{1b}'), "colour without a terminal");
    let files = laboratory.files("results");
    for name in [
        "e/summary.json",
        "e/summary.csv",
        "e/figures/comparison.svg",
        "e/figures/comparison.png",
    ] {
        assert!(files.contains_key(name), "no {name} in {:?}", files.keys());
    }
    for name in ["run.json", "spec.toml", "metrics.jsonl", "checkpoint.safetensors"] {
        assert!(files.contains_key(&format!("e/two/seed-001/{name}")), "no {name}");
    }
}

#[test]
fn a_second_run_skips_what_is_finished() {
    let laboratory = Laboratory::with(SMALL);
    let first = laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    let records = laboratory.files("results");
    let again = laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    assert_eq!(first.out, again.out);
    assert!(records == laboratory.files("results"), "a finished record was touched");
    // More seeds join those that are there.
    laboratory.say(&["run", "e.toml", "--quiet", "--seeds", "3"]).expect(0);
    let more = laboratory.files("results");
    assert!(more.contains_key("e/two/seed-002/run.json"));
    assert!(
        records
            .iter()
            .filter(|(name, _)| name.contains("seed-"))
            .all(|(name, bytes)| more[name] == *bytes)
    );
}

#[test]
fn another_spec_in_the_same_folder_is_refused_and_nothing_is_lost() {
    let laboratory = Laboratory::with(SMALL);
    laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    let records = laboratory.files("results");
    let said = laboratory
        .say(&["run", "e.toml", "--quiet", "--set", "training.steps = 4"])
        .expect(1);
    for part in [
        "training.steps: 3 in the record, 4 now",
        "two, seeds 0, 1:",
        "three, seeds 0, 1:",
        "--fresh",
    ] {
        assert!(said.err.contains(part), "no {part:?} in {}", said.err);
    }
    assert!(
        records == laboratory.files("results"),
        "the refused run changed a record"
    );
    laboratory
        .say(&["run", "e.toml", "--quiet", "--set", "training.steps = 4", "--fresh"])
        .expect(0);
    let spec = laboratory
        .files("results")
        .remove("e/two/seed-000/spec.toml")
        .expect("a spec");
    assert!(String::from_utf8_lossy(&spec).contains("steps = 4"));
    laboratory
        .say(&["run", "e.toml", "--quiet", "--set", "training.steps = 4"])
        .expect(0);
}

/// The user's own rows belong to the experiment as much as its keys.
#[test]
fn another_data_file_is_another_experiment() {
    let file = "question = \"?\"\nseeds = 1\n[data]\nsource = \"file\"\npath = \"p.csv\"\nobserved = [\"x\"]\n[model]\n\
                kind = \"gaussian\"\n[training]\noptimizer = \"em\"\n";
    let laboratory = Laboratory::with(file).and("p.csv", "x\n1\n2\n3\n");
    laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    let laboratory = laboratory.and("p.csv", "x\n1\n2\n4\n");
    let said = laboratory.say(&["run", "e.toml", "--quiet"]).expect(1);
    assert!(
        said.err.contains("the data file p.csv has changed since"),
        "{}",
        said.err
    );
}

#[test]
fn a_failing_run_fails_alone_and_is_listed() {
    let laboratory = Laboratory::with(&failing());
    let said = laboratory.say(&["run", "e.toml", "--quiet"]).expect(1);
    let listed: Vec<&str> = said
        .out
        .lines()
        .filter(|line| line.starts_with("failed: bad, seed "))
        .collect();
    assert_eq!(listed.len(), 2, "{}", said.out);
    for (seed, line) in listed.iter().enumerate() {
        let parts = [
            format!("seed {seed}"),
            "log_likelihood".into(),
            "step 0".into(),
            "inf".into(),
        ];
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    }
    assert!(
        said.out
            .lines()
            .any(|line| line.starts_with("three ") && line.contains("2/2")),
        "{}",
        said.out
    );
    assert!(
        said.out
            .lines()
            .any(|line| line.starts_with("bad ") && line.contains("0/2")),
        "{}",
        said.out
    );
    assert!(said.out.contains("0/2, 2 failed"), "{}", said.out);
    let unmeasured = "bad: not measured: no seed finished both variants";
    assert!(said.out.contains(unmeasured), "{}", said.out);
    let plan = laboratory.say(&["plan", "e.toml", "--json"]).expect(0).json();
    let states: Vec<_> = plan
        .as_array()
        .expect("a list")
        .iter()
        .map(|run| run["state"].clone())
        .collect();
    assert_eq!(states, ["done", "done", "done", "done", "failed", "failed"]);
    let compared = laboratory.say(&["compare", "e.toml"]).expect(0);
    assert!(compared.out.contains("failed: bad, seed 1"), "{}", compared.out);
}

#[test]
fn json_is_one_document_the_same_as_the_summary() {
    let laboratory = Laboratory::with(SMALL);
    let said = laboratory.say(&["run", "e.toml", "--json", "--quiet"]).expect(0);
    assert_eq!(said.err, "");
    let summary = laboratory.files("results").remove("e/summary.json").expect("a summary");
    assert_eq!(said.out.as_bytes(), summary);
    assert_eq!(
        laboratory
            .say(&["compare", "e.toml", "--json"])
            .expect(0)
            .out
            .as_bytes(),
        summary
    );
    let from_folder = laboratory.say(&["compare", "results/e", "--json"]).expect(0);
    assert_eq!(from_folder.out.as_bytes(), summary);
    std::fs::create_dir(laboratory.path("empty")).expect("a folder");
    let nothing = laboratory.say(&["compare", "empty"]).expect(1);
    assert!(
        nothing.err.contains("summary.json") && nothing.err.contains("see `run`"),
        "{}",
        nothing.err
    );
    let json = said.json();
    assert_eq!(
        (&json["experiment"], &json["question"]),
        (&"e".into(), &"How many clusters?".into())
    );
    let seed = &json["variants"][1]["seeds"][1];
    assert_eq!((&seed["seed"], &seed["status"]), (&1.into(), &"done".into()));
    let score = seed["metrics"]["test/log_likelihood"].as_f64().expect("a number");
    let other = json["variants"][1]["seeds"][0]["metrics"]["test/log_likelihood"]
        .as_f64()
        .expect("a number");
    let mean = json["variants"][1]["summary"]["test/log_likelihood"]["mean"]
        .as_f64()
        .expect("a number");
    assert!((mean - 0.5 * (score + other)).abs() < 1e-12);
}

#[test]
fn flags_of_run() {
    let laboratory = Laboratory::with(SMALL);
    let flags = [
        "--set",
        "training.steps = 2",
        "--seeds",
        "5..7",
        "--jobs",
        "1",
        "--results",
        "elsewhere",
        "--quiet",
    ];
    laboratory.say(&[&["run", "e.toml"][..], &flags].concat()).expect(0);
    assert!(laboratory.files("results").is_empty());
    let files = laboratory.files("elsewhere");
    let seeds = files
        .keys()
        .filter(|name| name.ends_with("run.json"))
        .cloned()
        .collect::<Vec<_>>();
    assert_eq!(
        seeds,
        [
            "e/three/seed-005/run.json",
            "e/three/seed-006/run.json",
            "e/two/seed-005/run.json",
            "e/two/seed-006/run.json"
        ]
    );
    assert!(String::from_utf8_lossy(&files["e/three/seed-005/spec.toml"]).contains("steps = 2"));
}

/// Names are the user's; folders are ours.
#[test]
fn no_name_leaves_the_results_folder() {
    for name in ["..", "/absolute", "a/../../b", "a b", "ü"] {
        let laboratory = Laboratory::new().and(
            "e.toml",
            format!("name = {name:?}\n{SMALL}").replace("\"two\"", "\"../..\""),
        );
        laboratory
            .say(&["run", "e.toml", "--quiet", "--results", "inner/results"])
            .expect(0);
        let outside: Vec<_> = laboratory
            .files("")
            .into_keys()
            .filter(|file| !file.starts_with("inner/results/"))
            .collect();
        assert_eq!(outside, ["e.toml"], "{name}");
        let summaries = laboratory
            .files("inner/results")
            .into_keys()
            .filter(|file| file.ends_with("summary.json"));
        let folders: Vec<_> = summaries.map(|file| file.matches('/').count()).collect();
        assert_eq!(folders, [1], "{name}");
    }
}

#[test]
fn check_plan_and_faults_write_nothing() {
    let laboratory = Laboratory::with(SMALL).and("bad.toml", SMALL.replace("components = 2", "components = 0"));
    let before = laboratory.files("");
    let said = laboratory.say(&["check", "e.toml"]).expect(0);
    assert_eq!(said.out, "OK: e.toml: 2 variants × 2 seeds = 4 runs\n");
    let plan = laboratory.say(&["plan", "e.toml"]).expect(0);
    assert_eq!(
        plan.out.lines().filter(|line| line.contains(" new ")).count(),
        4,
        "{}",
        plan.out
    );
    laboratory.say(&["compare", "e.toml"]).expect(0);
    for verb in ["check", "run", "plan", "compare"] {
        let said = laboratory.say(&[verb, "bad.toml"]).expect(2);
        assert!(
            said.err.contains("bad.toml:11:14") && said.out.is_empty(),
            "{}",
            said.err
        );
    }
    // Of several files all are checked, and all faults are shown; `run` runs none of them.
    let said = laboratory.say(&["check", "bad.toml", "e.toml", "bad.toml"]).expect(2);
    assert_eq!(said.err.matches("bad.toml:11:14").count(), 2, "{}", said.err);
    laboratory.say(&["run", "e.toml", "bad.toml"]).expect(2);
    let json = laboratory
        .say(&["check", "bad.toml", "e.toml", "--json"])
        .expect(2)
        .json();
    assert_eq!(
        (&json[0]["faults"][0]["at"]["line"], &json[1]["faults"]),
        (&11.into(), &serde_json::json!([]))
    );
    assert!(before == laboratory.files(""), "something was written");
}

#[test]
fn plan_tells_how_each_run_stands() {
    let laboratory = Laboratory::with(SMALL);
    laboratory.say(&["run", "e.toml", "--quiet", "--seeds", "1"]).expect(0);
    let state = |laboratory: &Laboratory| {
        let plan = laboratory.say(&["plan", "e.toml", "--json"]).expect(0).json();
        plan.as_array()
            .expect("a list")
            .iter()
            .map(|run| run["state"].as_str().expect("text").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(state(&laboratory), ["done", "new", "done", "new"]);
    let laboratory = laboratory.and("results/e/two/seed-000/run.json", "{ not json");
    assert_eq!(state(&laboratory), ["damaged", "new", "done", "new"]);
}

#[test]
fn bad_usage_is_two() {
    let laboratory = Laboratory::with(SMALL);
    let lines: [&[&str]; 8] = [
        &[],
        &["fly"],
        &["run"],
        &["run", "e.toml", "--jobs", "0"],
        &["run", "e.toml", "--set", "model.components"],
        &["run", "e.toml", "--seeds", "5..3"],
        &["list", "colours"],
        &["completions", "cobol"],
    ];
    for line in lines {
        let said = laboratory.say(line).expect(2);
        assert!(!said.err.is_empty(), "{line:?} fails without a message");
    }
    laboratory.say(&["--help"]).expect(0);
    assert!(laboratory.say(&["--version"]).expect(0).out.starts_with("latent-lab "));
    assert!(laboratory.files("results").is_empty());
}

#[test]
fn a_results_folder_that_cannot_be_written_is_a_clear_error() {
    let laboratory = Laboratory::with(SMALL).and("taken", "a file, not a folder");
    let said = laboratory
        .say(&["run", "e.toml", "--quiet", "--results", "taken"])
        .expect(1);
    assert!(said.err.starts_with("error: taken/"), "{}", said.err);
    assert_eq!(laboratory.files("")["taken"], b"a file, not a folder");
    // An existing record is unchanged.
    laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    let records = laboratory.promised("results");
    std::fs::remove_file(laboratory.path("results/e/summary.json")).expect("a summary");
    std::fs::create_dir(laboratory.path("results/e/summary.json")).expect("a folder in its place");
    let said = laboratory.say(&["run", "e.toml", "--quiet"]).expect(1);
    assert!(said.err.contains("summary.json"), "{}", said.err);
    assert!(records == laboratory.promised("results"));
}

#[test]
fn a_reader_that_leaves_early_is_no_fault() {
    let laboratory = Laboratory::with(SMALL);
    for line in [
        &["schema"][..],
        &["completions", "bash"],
        &["list", "metric"],
        &["run", "e.toml", "--json", "--quiet"],
    ] {
        let mut child = laboratory
            .command(line)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a child");
        drop(child.stdout.take());
        let mut err = String::new();
        child
            .stderr
            .take()
            .expect("a pipe")
            .read_to_string(&mut err)
            .expect("UTF-8");
        assert!(child.wait().expect("a child").success(), "{line:?}: {err}");
        assert_eq!(err, "", "{line:?}");
    }
}

#[test]
fn several_files_run_one_after_another() {
    let laboratory = Laboratory::with(SMALL).and("f.toml", SMALL);
    let json = laboratory
        .say(&["run", "e.toml", "f.toml", "--quiet", "--json"])
        .expect(0)
        .json();
    assert_eq!(
        (&json[0]["experiment"], &json[1]["experiment"]),
        (&"e".into(), &"f".into())
    );
}
