//! Records of other settings, other data, another name or another process, and the revisions that they name.

use crate::laboratory::{Laboratory, SMALL};
use latent_lab::runner::Experiment;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// `SMALL` with other settings of "three", and a new variant.
fn changed() -> String {
    let changed = SMALL.replace("model.components = 3", "model.components = 4");
    format!("{changed}\n[[variant]]\nname = \"five\"\nmodel.components = 5\n")
}

fn states(laboratory: &Laboratory) -> Vec<String> {
    let plan = laboratory.say(&["plan", "e.toml", "--json"]).expect(0).json();
    let state = |run: &Value| run["state"].as_str().expect("text").to_owned();
    plan.as_array().expect("a list").iter().map(state).collect()
}

fn manifest(laboratory: &Laboratory, run: &str) -> Value {
    let text = std::fs::read(laboratory.path(format!("results/e/{run}/run.json"))).expect("a manifest");
    serde_json::from_slice(&text).expect("JSON")
}

#[test]
fn plan_run_and_compare_agree_on_records_of_other_settings() {
    let laboratory = Laboratory::with(SMALL);
    laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    let before = laboratory.files("results");
    let laboratory = laboratory.and("e.toml", changed());
    assert_eq!(states(&laboratory), ["done", "done", "stale", "stale", "new", "new"]);
    let plan = laboratory.say(&["plan", "e.toml"]).expect(0).out;
    let differs = "model.components: 3 in the record, 4 now";
    assert!(
        plan.contains(differs) && plan.contains("three, seeds 0, 1: stale"),
        "{plan}"
    );
    let compared = laboratory.say(&["compare", "e.toml"]).expect(0).out;
    assert!(
        compared.contains("0/2, 2 stale") && compared.contains(differs),
        "{compared}"
    );
    // All other runs are made, the table is printed, and the records of the older settings stay.
    let said = laboratory.say(&["run", "e.toml", "--quiet"]).expect(1);
    assert!(
        said.err.contains(differs) && said.err.contains("2 runs are already recorded"),
        "{}",
        said.err
    );
    assert!(
        said.out.contains("five") && said.out.contains("0/2, 2 stale"),
        "{}",
        said.out
    );
    let after = laboratory.files("results");
    assert!(after.contains_key("e/five/seed-001/run.json"));
    assert!(
        before.iter().all(|(name, bytes)| after[name] == *bytes),
        "an older file was changed"
    );
    assert_eq!(states(&laboratory), ["done", "done", "stale", "stale", "done", "done"]);
}

#[test]
fn fresh_makes_only_stale_and_damaged_runs_again_and_fresh_all_makes_all() {
    let laboratory = Laboratory::with(SMALL);
    laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    let laboratory = laboratory
        .and("e.toml", changed())
        .and("results/e/two/seed-001/run.json", "{ no");
    // A mark in a record tells whether it was made again.
    let kept = "results/e/two/seed-000/run.json";
    let marked = std::fs::read_to_string(laboratory.path(kept)).expect("a manifest");
    let marked = marked.replace("\"version\": \"", "\"version\": \"marked ");
    let laboratory = laboratory.and(kept, &marked);
    laboratory.say(&["run", "e.toml", "--quiet", "--fresh"]).expect(0);
    assert_eq!(states(&laboratory), ["done"; 6]);
    assert_eq!(
        std::fs::read_to_string(laboratory.path(kept)).expect("a manifest"),
        marked
    );
    laboratory.say(&["run", "e.toml", "--quiet", "--fresh=all"]).expect(0);
    assert_ne!(
        std::fs::read_to_string(laboratory.path(kept)).expect("a manifest"),
        marked
    );
    laboratory.say(&["run", "e.toml", "--fresh=some"]).expect(2);
}

/// A look at other settings in the same folder, on seeds of their own, must not replace the summary either.
#[test]
fn a_summary_is_not_replaced_by_one_of_other_settings() {
    let laboratory = Laboratory::with(SMALL);
    laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    let before = laboratory.files("results").remove("e/summary.json");
    let said = laboratory
        .say(&[
            "run",
            "e.toml",
            "--quiet",
            "--set",
            "training.steps = 4",
            "--seeds",
            "8..9",
        ])
        .expect(0);
    assert!(
        said.err
            .contains("summary.json and the figures beside it are as before"),
        "{}",
        said.err
    );
    assert_eq!(laboratory.files("results").remove("e/summary.json"), before);
}

#[test]
fn the_data_file_that_changed_is_named() {
    let file = "question = \"?\"\nseeds = 1\n[data]\nsource = \"file\"\npath = \"p.csv\"\ntest_path = \"q.csv\"\n\
                observed = [\"x\"]\n[model]\nkind = \"gaussian\"\n[training]\noptimizer = \"em\"\n";
    let rows = "x\n1\n2\n3\n";
    let laboratory = Laboratory::with(file).and("p.csv", rows).and("q.csv", rows);
    laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    let laboratory = laboratory.and("q.csv", "x\n1\n2\n4\n");
    let plan = laboratory.say(&["plan", "e.toml", "--json"]).expect(0).json();
    assert_eq!(plan[0]["state"], "stale");
    assert_eq!(plan[0]["reason"], "the data file q.csv has changed since");
    // The same rows again, and the record counts again.
    let laboratory = laboratory.and("q.csv", rows);
    assert_eq!(states(&laboratory), ["done"]);
}

/// Older records have one hash, over the spec's and the bytes of the files, and name no file.
#[test]
fn an_older_record_of_the_same_data_counts() {
    let file = "question = \"?\"\nseeds = 1\n[data]\nsource = \"file\"\npath = \"p.csv\"\nobserved = [\"x\"]\n[model]\n\
                kind = \"gaussian\"\n[training]\noptimizer = \"em\"\n";
    let rows = "x\n1\n2\n3\n";
    let laboratory = Laboratory::with(file).and("p.csv", rows);
    laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    let experiment =
        Experiment::load(&laboratory.path("e.toml"), &[], &laboratory.path("results")).expect("an experiment");
    let run = experiment.runs().expect("runs").remove(0);
    let mut hasher = blake3::Hasher::new();
    hasher.update(run.spec_hash.as_bytes());
    hasher.update(rows.as_bytes());
    let mut old = manifest(&laboratory, "e/seed-000");
    old["spec_hash"] = hasher.finalize().to_hex().as_str().into();
    old.as_object_mut().expect("an object").remove("data_files");
    let laboratory = laboratory.and("results/e/e/seed-000/run.json", old.to_string());
    assert_eq!(states(&laboratory), ["done"]);
    laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    let laboratory = laboratory.and("p.csv", "x\n1\n2\n4\n");
    assert_eq!(states(&laboratory), ["stale"]);
}

#[test]
fn a_renamed_variant_keeps_its_runs() {
    let laboratory = Laboratory::with(SMALL);
    laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    let before = laboratory.promised("results/e/two");
    let laboratory = laboratory.and("e.toml", SMALL.replace("\"two\"", "\"a pair\""));
    let plan = laboratory.say(&["plan", "e.toml"]).expect(0).out;
    assert!(
        plan.contains("results/e/two: 2 runs of \"two\", which has the settings of \"a pair\""),
        "{plan}"
    );
    let said = laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    assert!(
        said.err.contains("reused 2 recorded runs of \"two\" for \"a pair\""),
        "{}",
        said.err
    );
    assert_eq!(laboratory.promised("results/e/a-pair"), before);
    assert!(!laboratory.path("results/e/two").exists());
    assert_eq!(manifest(&laboratory, "a-pair/seed-000")["variant"], "a pair");
    assert_eq!(manifest(&laboratory, "a-pair/seed-000")["sessions"], 1, "it ran again");
    // Runs with the settings of no variant are named, and left unchanged.
    let laboratory = laboratory.and(
        "e.toml",
        SMALL
            .replace("\"two\"", "\"other\"")
            .replace("components = 2", "components = 6"),
    );
    let plan = laboratory.say(&["plan", "e.toml"]).expect(0).out;
    assert!(plan.contains("which is no variant of this file"), "{plan}");
    laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    assert!(laboratory.path("results/e/a-pair/seed-001/run.json").exists());
}

/// Another process holds the lock.
#[test]
fn a_run_of_another_process_is_no_fault() {
    let laboratory = Laboratory::with(SMALL);
    let dir = laboratory.path("results/e/two/seed-001");
    std::fs::create_dir_all(&dir).expect("a folder");
    let lock = std::fs::File::create(dir.join(".lock")).expect("a file");
    lock.lock().expect("a lock");
    let said = laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    assert!(
        said.err
            .contains("1 run belongs to another process; run the command again"),
        "{}",
        said.err
    );
    assert!(said.out.contains("1/2") && said.out.contains("2/2"), "{}", said.out);
    drop(lock);
    let said = laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    assert_eq!(said.err, "");
    assert_eq!(said.out.matches("2/2").count(), 2, "{}", said.out);
}

#[cfg(unix)]
#[test]
fn no_lock_is_left_behind() {
    let laboratory = Laboratory::with(SMALL);
    laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    let files = laboratory.files("results");
    let locks: Vec<_> = files.keys().filter(|name| name.ends_with(".lock")).collect();
    assert_eq!(locks, [""; 0]);
}

#[cfg(target_os = "linux")]
#[test]
fn an_impossible_results_folder_is_a_clear_error() {
    let laboratory = Laboratory::with(SMALL);
    let said = laboratory
        .say(&["run", "e.toml", "--quiet", "--results", "/proc/x"])
        .expect(1);
    assert!(
        said.err.contains("cannot be created") && said.err.contains("--results"),
        "{}",
        said.err
    );
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let identity = [
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@example.org",
        "-c",
        "commit.gpgsign=false",
    ];
    let output = Command::new("git")
        .current_dir(folder)
        .args(identity)
        .args(arguments)
        .output();
    let output = output.expect("git");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A record names the revisions of the program and of the experiment file, not that of the working directory.
#[test]
fn a_record_names_the_revisions_of_the_program_and_of_the_experiment() {
    let laboratory = Laboratory::new();
    std::fs::create_dir(laboratory.path("study")).expect("a folder");
    let laboratory = laboratory.and("study/e.toml", SMALL);
    let study = laboratory.path("study");
    git(&study, &["init", "--quiet"]);
    git(&study, &["add", "e.toml"]);
    git(&study, &["commit", "--quiet", "-m", "a study"]);
    let head = git(&study, &["rev-parse", "HEAD"]);
    // From a folder that is in no repository.
    laboratory.say(&["run", "study/e.toml", "--quiet"]).expect(0);
    let run = manifest(&laboratory, "two/seed-000");
    assert_eq!(run["experiment_revision"]["commit"], head.as_str());
    assert_eq!(run["experiment_revision"]["dirty"], false);
    assert_eq!(run.get("revision"), None);
    let version = laboratory.say(&["--version"]).expect(0).out;
    match run["program_revision"]["commit"].as_str() {
        Some(commit) => assert!(version.contains(commit) && commit != head, "{version} {commit}"),
        // Built from an archive.
        None => assert!(!version.contains("revision"), "{version}"),
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if root.join(".git").exists() {
        let own = git(root, &["rev-parse", "HEAD"]);
        assert_eq!(run["program_revision"]["commit"], own.as_str());
    }
}
