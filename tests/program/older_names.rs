//! Records that were made when keys had other names still count.

use crate::laboratory::Laboratory;
use serde_json::Value;

/// An experiment with roll-outs.
const EXPERIMENT: &str = r#"question = "Do older records count?"
seeds = 1

[data]
source = "tree"
train = 4
test = 4

[model]
kind = "conditional_mixture"
components = 2
hidden = [4]

[training]
optimizer = "adam"
steps = 5

[evaluation]
metrics = ["rollout/success_rate"]

[evaluation.rollout]
environment = "tree"
episodes = 10
latent = "per_episode"
"#;

/// The settings in a record of the same experiment, made when it had the keys `evaluation.environment`, `rollouts`,
/// `action` and `latent`.
const OLDER_SETTINGS: &str = include_str!("older/spec.toml");

/// The hash of these settings in that record's `run.json`.
const OLDER_HASH: &str = "51c42b0589ca633fd168537bea54f60c3f514936389048e340ebdd4eab2af993";

/// Turns the record of `EXPERIMENT` into the older one; its metrics were the same.
fn with_older_record() -> Laboratory {
    let laboratory = Laboratory::with(EXPERIMENT);
    laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    let folder = laboratory.path("results/e/e/seed-000");
    let text = std::fs::read(folder.join("run.json")).expect("a manifest");
    let mut manifest: Value = serde_json::from_slice(&text).expect("JSON");
    assert_ne!(manifest["spec_hash"], OLDER_HASH);
    manifest["spec_hash"] = OLDER_HASH.into();
    std::fs::write(folder.join("run.json"), manifest.to_string()).expect("a manifest");
    std::fs::write(folder.join("spec.toml"), OLDER_SETTINGS).expect("settings");
    laboratory
}

fn state(laboratory: &Laboratory) -> Value {
    let plan = laboratory.say(&["plan", "e.toml", "--json"]).expect(0).json();
    plan[0]["state"].clone()
}

#[test]
fn a_record_of_older_names_is_done_and_compared() {
    let laboratory = with_older_record();
    assert_eq!(state(&laboratory), "done");
    let before = laboratory.files("results/e/e");
    let compared = laboratory.say(&["compare", "e.toml"]).expect(0).out;
    assert!(!compared.contains("stale"), "{compared}");
    let said = laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    assert!(said.out.contains("success rate"), "{}", said.out);
    assert!(
        before == laboratory.files("results/e/e"),
        "the older record was changed"
    );
}

#[test]
fn a_record_of_older_names_and_other_settings_is_stale() {
    let laboratory = with_older_record().and("e.toml", EXPERIMENT.replace("episodes = 10", "episodes = 11"));
    assert_eq!(state(&laboratory), "stale");
    let plan = laboratory.say(&["plan", "e.toml"]).expect(0).out;
    let differs = "evaluation.rollout.episodes: 10 in the record, 11 now";
    assert!(plan.contains(differs), "{plan}");
    // Keys that were only renamed are no difference.
    assert!(!plan.contains("rollout.environment"), "{plan}");
}

#[test]
fn settings_that_the_record_was_not_made_with_do_not_count() {
    let laboratory = with_older_record();
    let altered = OLDER_SETTINGS.replace("rollouts = 10", "rollouts = 12");
    let laboratory = laboratory
        .and("results/e/e/seed-000/spec.toml", altered)
        .and("e.toml", EXPERIMENT.replace("episodes = 10", "episodes = 12"));
    assert_eq!(state(&laboratory), "stale");
}
