//! No rule judges while anything scheduled is still moving, and what is noted is noted once.

use crate::laboratory::Laboratory;
use serde_json::Value;

fn head(seeds: u64) -> String {
    format!("question = \"Does it come to its end?\"\nseeds = {seeds}\n")
}

const CLUSTERS: &str = "[data]\nsource = \"three_clusters\"\ntrain = 300\n[model]\nkind = \"gaussian_mixture\"\n\
                        components = 3\n";

fn annealed(training: &str) -> String {
    format!(
        "{}{CLUSTERS}[posterior]\nkind = \"exact\"\ntemperature = {{ from = 10, to = 1, steps = 30 }}\n\
         [training]\noptimizer = \"em\"\n{training}",
        head(3)
    )
}

/// The finished experiment, its seeds' metrics, and its events.
fn run(text: &str) -> (Vec<Value>, Vec<String>) {
    let laboratory = Laboratory::with(text);
    let said = laboratory.say(&["run", "e.toml", "--quiet", "--json"]).expect(0).json();
    let seeds = said["variants"][0]["seeds"].as_array().expect("seeds");
    let metrics = seeds.iter().map(|seed| seed["metrics"].clone()).collect();
    let files = laboratory.files("results").into_iter();
    let events = files.filter(|(name, _)| name.ends_with("events.jsonl"));
    let events = events.flat_map(|(_, bytes)| {
        String::from_utf8(bytes)
            .expect("UTF-8")
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    });
    (metrics, events.collect())
}

#[test]
fn em_does_not_converge_on_the_path_of_the_temperature_or_at_the_saddle_behind_it() {
    for training in ["", "starts = 2\n"] {
        let (seeds, events) = run(&annealed(training));
        for metrics in &seeds {
            let value = metrics["test/log_likelihood"].as_f64().expect("a value");
            // The oracle is near −2.57, one Gaussian near −3.93.
            assert!(value > -2.8, "{metrics}");
            assert!(metrics["steps"].as_f64().expect("steps") > 30.0, "{metrics}");
        }
        assert_eq!(
            events.iter().filter(|event| event.contains("converged")).count(),
            3,
            "{events:?}"
        );
    }
}

#[test]
fn training_that_ends_on_a_path_says_so() {
    let (_, events) = run(&annealed("steps = 30\n"));
    let noted = events
        .iter()
        .filter(|event| event.contains("before the temperature had come to its end"));
    assert_eq!(noted.count(), 3, "{events:?}");
    assert!(!events.iter().any(|event| event.contains("converged")), "{events:?}");
}

#[test]
fn a_schedule_longer_than_the_training_is_a_fault() {
    let elbo = "[posterior]\nkind = \"amortised\"\n[objective]\nkind = \"elbo\"\nwarm_up_steps = 41\n[training]\n\
                optimizer = \"adam\"\nsteps = 40\n";
    for (text, key) in [
        (annealed("steps = 29\n"), "temperature = "),
        (format!("{}{CLUSTERS}{elbo}", head(1)), "warm_up_steps = 41"),
    ] {
        let laboratory = Laboratory::with(&text);
        let said = laboratory.say(&["check", "e.toml"]).expect(2);
        assert!(
            said.err.contains(key) && said.err.contains("would never be reached"),
            "{}",
            said.err
        );
    }
}

#[test]
fn early_stopping_waits_for_the_end_of_the_warm_up() {
    // A learning rate so large that evaluations go up and down from the first step.
    let text = format!(
        "{}[data]\nsource = \"ring\"\ntrain = 60\nvalidation_fraction = 0.3\n[model]\nkind = \"latent_gaussian\"\n\
         latent_dimensions = 1\nhidden = [4]\n[posterior]\nkind = \"amortised\"\nhidden = [4]\n[objective]\nkind = \"elbo\"\n\
         warm_up_steps = 30\n[training]\noptimizer = \"adam\"\nsteps = 60\nevaluate_every = 1\nlearning_rate = 0.3\n\
         early_stopping = {{ patience = 1 }}\n",
        head(3)
    );
    let (seeds, events) = run(&text);
    for metrics in &seeds {
        assert!(metrics["steps"].as_f64().expect("steps") > 30.0, "{metrics}");
    }
    assert!(events.iter().any(|event| event.contains("stopped early")), "{events:?}");
}

#[test]
fn what_goes_on_for_many_sweeps_is_noted_when_it_begins_and_at_the_end() {
    // Two values alone: every component but one is at the floor.
    let rows: String = (0..80).map(|i| format!("{},{}\n", i % 2, i % 5)).collect();
    let text = format!(
        "{}[data]\nsource = \"file\"\npath = \"rows.csv\"\nobserved = [\"a\", \"b\"]\n[model]\n\
         kind = \"gaussian_mixture\"\ncomponents = 2\n[training]\noptimizer = \"em\"\ntolerance = 0.0\nsteps = 90\n",
        head(1)
    );
    let laboratory = Laboratory::with(&text).and("rows.csv", format!("a,b\n{rows}"));
    laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    let files = laboratory.files("results");
    let (_, events) = files
        .iter()
        .find(|(name, _)| name.ends_with("events.jsonl"))
        .expect("events");
    let text = String::from_utf8(events.clone()).expect("UTF-8");
    let floor = text
        .lines()
        .filter(|line| line.contains("component 0 reached the covariance floor"));
    let steps: Vec<u64> = floor
        .map(|line| {
            serde_json::from_str::<Value>(line).expect("JSON")["step"]
                .as_u64()
                .expect("a step")
        })
        .collect();
    assert!(
        steps.len() >= 2 && steps.len() <= 6 && steps.last() == Some(&90),
        "{text}"
    );
}
