//! The same spec and seed give the same bytes of metrics and checkpoints, for any number of jobs, any order of
//! variants, and after any kills and interrupts.

use crate::laboratory::Laboratory;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// All state of a run with Adam: an average, a best evaluation, an older posterior, clipped gradients.
const ADAM: &str = r#"question = "Does it remember?"
seeds = 2

[data]
source = "inverse_sinusoid"
train = 120
test = 40
validation_fraction = 0.25
standardize = true

[model]
kind = "conditional_mixture"
components = 3
hidden = [8]

[posterior]
kind = "sampled"
samples = 2
refresh_every = 7

[training]
optimizer = "adam"
learning_rate = 0.01
learning_rate_schedule = "cosine"
batch_size = 25
steps = 600
evaluate_every = 10
averaging = 0.9
gradient_clip = 0.5
early_stopping = { patience = 40 }
"#;

/// EM with several starts, posterior samples, and enough components that some are reset.
const EM: &str = r#"question = "Does it remember?"
seeds = 2

[data]
source = "three_clusters"
train = 400
test = 40

[model]
kind = "gaussian_mixture"
components = 6

[posterior]
kind = "sampled"
samples = 3
refresh_every = 2

[training]
optimizer = "em"
starts = 4
steps = 60
tolerance = 0.0
"#;

/// EM from several starts on sequences with missing values, with sampled trajectories.
const STATE_SPACE_EM: &str = r#"question = "Does it remember?"
seeds = 2

[data]
source = "lgssm"
train = 1000
test = 100
length = 40
missing = 0.1

[model]
kind = "linear_gaussian_ssm"
initial_values = "random"

[posterior]
kind = "sampled"
samples = 2
refresh_every = 3

[training]
optimizer = "em"
starts = 3
steps = 60
tolerance = 0.0
"#;

/// A recognition network trained on model samples: streams for posterior samples, model samples and validation bounds.
const AMORTISED: &str = r#"question = "Does it remember?"
seeds = 2

[data]
source = "inverse_sinusoid"
train = 120
test = 40
validation_fraction = 0.25
standardize = true

[model]
kind = "latent_gaussian"
latent_dimensions = 1
prior = "given_x"
hidden = [8]

[posterior]
kind = "amortised"
samples = 2
fit = "forward_kl"
hidden = [8]

[training]
optimizer = "adam"
learning_rate = 0.01
batch_size = 25
steps = 600
evaluate_every = 10
averaging = 0.9
early_stopping = { patience = 40 }

[evaluation.bounds]
samples = 5
"#;

/// Rounds of collection: episodes of the model as a planner join the training data.
const ROUNDS: &str = r#"question = "Does it remember?"
seeds = 2

[data]
source = "exploration"
environment = "pendulum_v1"
reward = true
train = 100
test = 20
length = 50
standardize = true

[model]
kind = "neural_ssm"
states = 2
likelihood_particles = 5
transition = { kind = "perceptron", hidden = [8] }
emission = { kind = "linear" }
reward = { hidden = [8] }

[posterior]
kind = "amortised"
family = "filtering"
hidden = [8]
recurrent_units = 4

[objective]
kind = "elbo"

[training]
optimizer = "adam"
batch_size = 4
window = 10
steps = 200
evaluate_every = 30
averaging = 0.9
collection = { every = 20, episodes = 2, noise = 0.3 }

[evaluation]
bounds.samples = 2

[evaluation.control]
tasks = 1
cost = "reward"
window = 3
planner = { kind = "cem", horizon = 3, candidates = 6, elites = 2, rounds = 2 }
"#;

/// How a run is stopped.
#[derive(Clone, Copy, PartialEq)]
enum Signal {
    /// At once, with no chance to write anything.
    Kill,
    /// Ctrl-C.
    Interrupt,
}

/// The number of metrics lines that all runs have written so far.
fn lines(laboratory: &Laboratory) -> usize {
    let files = laboratory
        .files("results")
        .into_iter()
        .filter(|(name, _)| name.ends_with("metrics.jsonl"));
    files
        .map(|(_, bytes)| bytes.iter().filter(|byte| **byte == b'\n').count())
        .sum()
}

fn start(laboratory: &Laboratory) -> Child {
    let mut command = laboratory.command(&["run", "e.toml", "--quiet", "--jobs", "2"]);
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts")
}

/// EM by particles: every posterior is sampled.
const PARTICLES: &str = r#"question = "Does it remember?"
seeds = 2

[data]
source = "growth"
train = 60
length = 25

[model]
kind = "nonlinear_gaussian_ssm"
likelihood_particles = 100

[posterior]
kind = "particle"
refresh_every = 2

[training]
optimizer = "em"
steps = 150
tolerance = 0.0
"#;

/// Starts the program and stops it once it has written `more` lines and its records exist; whether it was still running.
fn stopped(laboratory: &Laboratory, more: usize, signal: Signal) -> bool {
    let before = lines(laboratory);
    let mut child = start(laboratory);
    let ready = || lines(laboratory) >= before + more && laboratory.path("results/e/e/seed-000/run.json").exists();
    while !ready() {
        if child.try_wait().expect("a child").is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    match signal {
        Signal::Kill => child.kill().expect("a signal"),
        Signal::Interrupt => {
            let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
            assert!(status.expect("kill").success());
        }
    }
    let code = child.wait().expect("a child").code();
    match signal {
        Signal::Kill => code.is_none(),
        Signal::Interrupt => {
            assert!(matches!(code, Some(130 | 0)), "{code:?}");
            code == Some(130)
        }
    }
}

/// Stops a run by every signal in turn, then lets it end, and compares it with a run without stops.
fn survives(experiment: &str, stops: &[(usize, Signal)]) {
    let undisturbed = Laboratory::with(experiment);
    undisturbed.say(&["run", "e.toml", "--quiet"]).expect(0);
    let expected = undisturbed.promised("results");
    assert_eq!(expected.len(), 6, "three files of two seeds: {:?}", expected.keys());
    // The program may end before it can be stopped; then it is tried again.
    let disturbed = (0..20).any(|_| {
        let laboratory = Laboratory::with(experiment);
        let all = stops.iter().all(|(more, signal)| stopped(&laboratory, *more, *signal));
        laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
        assert!(
            laboratory.promised("results") == expected,
            "other bytes than without the stops"
        );
        all
    });
    assert!(disturbed, "the runs were over before they could be stopped");
}

use Signal::{Interrupt, Kill};

#[test]
fn adam_survives_kills() {
    survives(ADAM, &[(0, Kill), (8, Kill), (30, Kill)]);
}

#[test]
fn adam_survives_ctrl_c_and_then_a_kill() {
    survives(ADAM, &[(8, Interrupt), (8, Kill), (8, Interrupt)]);
}

#[test]
fn a_recognition_network_survives_kills_and_ctrl_c() {
    survives(AMORTISED, &[(0, Kill), (8, Kill), (8, Interrupt), (8, Kill)]);
}

#[test]
fn rounds_of_collection_survive_kills_and_ctrl_c() {
    survives(ROUNDS, &[(0, Kill), (3, Interrupt), (3, Kill), (4, Interrupt)]);
}

#[test]
fn em_survives_kills() {
    survives(EM, &[(0, Kill), (20, Kill)]);
}

#[test]
fn particles_survive_a_kill_and_ctrl_c() {
    survives(PARTICLES, &[(10, Kill), (20, Interrupt)]);
}

#[test]
fn em_survives_ctrl_c_and_then_a_kill() {
    survives(EM, &[(0, Interrupt), (12, Interrupt), (12, Kill)]);
}

#[test]
fn em_of_sequences_survives_kills_and_ctrl_c() {
    survives(STATE_SPACE_EM, &[(0, Kill), (12, Interrupt), (12, Kill)]);
}

#[test]
fn adam_on_sequences_survives_kills_and_ctrl_c() {
    let em = STATE_SPACE_EM.split("[training]").next().expect("a head");
    let adam = "[training]\noptimizer = \"adam\"\nlearning_rate = 0.01\nbatch_size = 5\nsteps = 400\nevaluate_every = 10\n\
                averaging = 0.9\nprecision = \"f64\"\n";
    survives(&format!("{em}{adam}"), &[(0, Kill), (8, Interrupt), (8, Kill)]);
}

/// Beyond two seconds a run checkpoints by the clock, with no signal to make it; a kill then resumes from there.
#[test]
fn a_checkpoint_by_the_clock_is_resumed_from() {
    let long = ADAM
        .replace("steps = 600", "steps = 1_000_000")
        .replace("seeds = 2", "seeds = 1");
    let long = long.replace("early_stopping = { patience = 40 }\n", "");
    let laboratory = Laboratory::with(&long);
    let mut child = start(&laboratory);
    let checkpoint = laboratory.path("results/e/e/seed-000/checkpoint.safetensors");
    while !checkpoint.exists() {
        assert!(
            child.try_wait().expect("a child").is_none(),
            "a million steps end before two seconds"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().expect("a signal");
    child.wait().expect("a child");
    let metrics = |laboratory: &Laboratory| laboratory.files("results")["e/e/seed-000/metrics.jsonl"].clone();
    let first = metrics(&laboratory);
    assert!(stopped(&laboratory, 3, Interrupt), "a million steps are over");
    let manifest = &laboratory.files("results")["e/e/seed-000/run.json"];
    let manifest: serde_json::Value = serde_json::from_slice(manifest).expect("JSON");
    assert_eq!(manifest["sessions"], 2);
    // The lines of the first session were kept, or written again in the same bytes.
    assert!(metrics(&laboratory).starts_with(first.strip_suffix(b"\n").unwrap_or(&first)));
}

#[test]
fn neither_jobs_nor_order_nor_other_variants_change_a_byte() {
    let variants = [
        "[[variant]]\nname = \"a\"\n",
        "[[variant]]\nname = \"b\"\nposterior = { kind = \"exact\", temperature = { from = 2, to = 1, steps = 20 } }\n",
        "[[variant]]\nname = \"c\"\nobjective.kind = \"marginal_likelihood\"\nposterior = { kind = \"exact\" }\n",
    ];
    let short = ADAM.replace("steps = 600", "steps = 30");
    let [a, b, c] = variants;
    let run = |text: String, arguments: &[&str]| {
        let laboratory = Laboratory::with(&text);
        laboratory
            .say(&[&["run", "e.toml", "--quiet"], arguments].concat())
            .expect(0);
        laboratory.promised("results")
    };
    let expected = run(format!("{short}{a}{b}{c}"), &["--jobs", "1"]);
    assert_eq!(expected.len(), 18, "three files of three variants with two seeds");
    assert!(run(format!("{short}{a}{b}{c}"), &["--jobs", "2"]) == expected, "jobs");
    assert!(
        run(format!("{short}{c}{a}{b}"), &["--jobs", "2", "--seeds", "[1, 0]"]) == expected,
        "order"
    );
    let alone = run(format!("{short}{b}"), &["--seeds", "[1]"]);
    assert_eq!(alone.len(), 3);
    assert!(alone.iter().all(|(name, bytes)| expected[name] == *bytes), "company");
}

/// Jobs without a run of their own share the sweeps of one fit.
#[test]
fn threads_within_a_sweep_change_no_byte() {
    let fit = EM
        .replace("train = 400", "train = 9000")
        .replace("steps = 60", "steps = 3")
        .replace("seeds = 2", "seeds = 1");
    let fit = fit.replace("kind = \"sampled\"\nsamples = 3\nrefresh_every = 2", "kind = \"exact\"");
    let run = |jobs| {
        let laboratory = Laboratory::with(&fit);
        laboratory.say(&["run", "e.toml", "--quiet", "--jobs", jobs]).expect(0);
        laboratory.promised("results")
    };
    let expected = run("1");
    assert_eq!(expected.len(), 3);
    assert!(run("3") == expected);
}

#[test]
fn other_seeds_give_other_bytes() {
    let laboratory = Laboratory::with(&ADAM.replace("steps = 600", "steps = 10"));
    laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    let files = laboratory.promised("results");
    assert!(files["e/e/seed-000/metrics.jsonl"] != files["e/e/seed-001/metrics.jsonl"]);
}
