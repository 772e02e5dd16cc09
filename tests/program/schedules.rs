//! Stopping rules wait for the end of every schedule, and every note is made once.

use crate::laboratory::Laboratory;
use latent_lab::Result;
use latent_lab::math::streams::Streams;
use latent_lab::spec::load_experiment;
use latent_lab::train::{Job, Observer, State, train};
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
        .filter(|event| event.contains("before the temperature reached its final value"));
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
fn a_state_that_lasts_for_many_sweeps_is_noted_when_it_begins_and_at_the_end() {
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

/// Keeps every checkpoint that is offered, and refuses what a record refuses: lines of a step after its checkpoint.
#[derive(Default)]
struct Strict {
    checkpoint: Option<u64>,
    texts: Vec<String>,
}

impl Strict {
    fn line(&self, step: u64) {
        let is_late = self.checkpoint.is_some_and(|last| step <= last);
        assert!(!is_late, "a line of step {step} after the checkpoint of it");
    }
}

impl Observer for Strict {
    fn evaluated(&mut self, step: u64, _: &[(String, f64)]) -> Result<()> {
        self.line(step);
        Ok(())
    }

    fn noted(&mut self, step: u64, text: &str) -> Result<()> {
        self.line(step);
        self.texts.push(text.to_owned());
        Ok(())
    }

    fn checkpoint(&mut self, _: bool, state: &dyn Fn() -> Result<State>) -> Result<()> {
        self.checkpoint = Some(state()?.step);
        Ok(())
    }
}

#[test]
fn the_last_notes_stand_before_the_last_checkpoint_however_often_one_is_kept() {
    let adam = format!(
        "{}{CLUSTERS}[posterior]\nkind = \"exact\"\ntemperature = {{ from = 2, to = 1, steps = 5 }}\n[training]\n\
         optimizer = \"adam\"\nsteps = 5\nevaluate_every = 1\n",
        head(1)
    );
    for (text, last) in [
        (annealed(""), "converged"),
        (annealed("steps = 30\n"), "before the temperature"),
        (adam, "before the temperature"),
    ] {
        let laboratory = Laboratory::with(&text);
        let loaded = load_experiment(&laboratory.path("e.toml"), &[]).expect("an experiment");
        let spec = &loaded.variants[0].spec;
        let streams = Streams::new(0);
        let splits = spec.data.load(&laboratory.path(""), &streams).expect("rows");
        let model = spec.model.build(&splits.train).expect("a model");
        let job = Job {
            model: model.as_ref(),
            posterior: &spec.posterior,
            objective: &spec.objective,
            training: &spec.training,
            splits: &splits,
            original: &splits,
            streams: &streams,
            threads: 1,
            evaluation: &spec.evaluation,
            controlled: None,
        };
        let mut strict = Strict::default();
        train(&job, None, &mut strict).expect("training");
        assert!(
            strict.texts.last().is_some_and(|text| text.contains(last)),
            "{:?}",
            strict.texts
        );
    }
}
