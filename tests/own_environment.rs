//! An environment that latent-lab does not know, registered by a program that uses it as a library: it is listed, described,
//! checked, demonstrated, rolled out and scored by the public program.
//!
//! The test starts itself again with its command line in a variable, and is then that program.

use latent_lab::cli;
use latent_lab::environment::EnvironmentKind;
use latent_lab::kind::{Declared, Example, register};
use latent_lab_envs::{Control, Controller, Environment, Expert, Images, Reference, Step, Yardsticks};
use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

/// The variable with the command line of the program, a word per line.
const WORDS: &str = "LATENT_LAB_TEST_WORDS";

/// A walk on a line, for which every step is worth its number. It ends at step `goal`, or out of time after 4 steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Countdown {
    /// The step at which the task is solved.
    #[schemars(range(min = 1, max = 100))]
    goal: usize,
}

impl Default for Countdown {
    fn default() -> Self {
        Self { goal: 3 }
    }
}

impl Declared for Countdown {
    const NAME: &'static str = "countdown";
    const SUMMARY: &'static str = "A walk that ends by itself.";
    const EQUATION: &'static str = "x' = x + u\nreward t at step t";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"demonstrations\"\nenvironment = \"countdown\"\ntrain = 20",
        model: "kind = \"conditional_mixture\"",
        further: "\n[evaluation.rollout]\nenvironment = \"countdown\"\n",
        ..Example::USUAL
    };
}

#[derive(Clone)]
struct Walk {
    position: f64,
    first: Option<f64>,
    steps: usize,
}

const HORIZON: usize = 4;

impl Environment for Countdown {
    type State = Walk;

    fn fault(&self) -> Option<String> {
        (self.goal == 13).then(|| "`goal` should be another number than 13, got 13: try 12".to_owned())
    }
    fn observation(&self) -> Vec<&'static str> {
        vec!["position", "time"]
    }
    fn action(&self) -> Vec<Control> {
        let (name, low, high) = ("pace", -1.0, 1.0);
        vec![Control { name, low, high }]
    }
    fn horizon(&self) -> usize {
        HORIZON
    }
    fn reward_unit(&self) -> &'static str {
        "coins"
    }
    fn success_rule(&self) -> Option<&'static str> {
        Some("the walk comes to its goal")
    }
    fn success(&self, state: &Walk) -> Option<bool> {
        Some(state.steps >= self.goal)
    }
    fn routes(&self) -> Vec<&'static str> {
        vec!["backwards", "forwards"]
    }
    fn route(&self, state: &Walk) -> Option<usize> {
        state.first.map(|first| usize::from(first > 0.0))
    }
    fn expert(&self) -> Option<&dyn Expert> {
        Some(self)
    }
    fn images(&self) -> Option<&dyn Images<State = Walk>> {
        None
    }
    fn yardsticks(&self) -> Yardsticks {
        let success_rates = vec![Reference {
            name: "oracle",
            value: 1.0,
            text: "share of walks that end by themselves",
        }];
        Yardsticks {
            returns: vec![],
            success_rates,
        }
    }
    fn reset(&self, rng: &mut dyn Rng) -> Walk {
        Walk {
            position: rng.random_range(-1.0..1.0),
            first: None,
            steps: 0,
        }
    }
    fn observe(&self, state: &Walk, into: &mut [f64]) {
        into.copy_from_slice(&[state.position, state.steps as f64]);
    }
    fn step(&self, state: &mut Walk, action: &[f64]) -> Step {
        let is_over = state.steps >= self.goal.min(HORIZON);
        if !is_over {
            state.position += action[0].clamp(-1.0, 1.0);
            state.first = state.first.or(Some(action[0]));
            state.steps += 1;
        }
        let terminated = state.steps >= self.goal;
        Step {
            reward: if is_over { 0.0 } else { state.steps as f64 },
            terminated,
            truncated: !terminated && state.steps >= HORIZON,
        }
    }
}

impl Expert for Countdown {
    fn begin<'a>(&'a self, _rng: &mut dyn Rng) -> Controller<'a> {
        Box::new(|_observation, rng| vec![rng.random_range(0.5..1.0)])
    }
}

const EXPERIMENT: &str = r#"question = "How far?"
seeds = 2

[data]
source = "demonstrations"
environment = "countdown"
train = 20
test = 10

[model]
kind = "conditional_mixture"
components = 2
hidden = [4]

[training]
optimizer = "adam"
steps = 20

[evaluation]
metrics = ["rollout/return", "rollout/success_rate"]

[evaluation.rollout]
environment = "countdown"
episodes = 30

[[variant]]
name = "ends"

[[variant]]
name = "out of time"
evaluation.rollout.environment = { kind = "countdown", goal = 5 }
"#;

/// The program with the environment registered: exit code, standard output, standard error.
fn program(folder: &Path, words: &[&str]) -> (i32, String, String) {
    let own = std::env::current_exe().expect("this test");
    let output = Command::new(own)
        .args(["--exact", TEST, "--nocapture"])
        .env(WORDS, words.join("\n"))
        .env_remove("CLICOLOR_FORCE")
        .current_dir(folder)
        .output()
        .expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap_or(-1);
    (code, text(&output.stdout), text(&output.stderr))
}

const TEST: &str = "an_environment_of_another_program_is_a_kind_like_any_other";

#[test]
fn an_environment_of_another_program_is_a_kind_like_any_other() {
    if let Ok(words) = std::env::var(WORDS) {
        register::<dyn EnvironmentKind, Countdown>().expect("a new name");
        let words = std::iter::once("latent-lab").chain(words.lines());
        let code = cli::main_with(words.map(OsString::from));
        std::process::exit(if code == ExitCode::SUCCESS { 0 } else { 2 });
    }
    let folder = tempfile::tempdir().expect("a scratch folder");
    let file = folder.path().join("e.toml");
    let write = |text: &str| std::fs::write(&file, text).expect("a file");
    write(EXPERIMENT);
    let say = |words: &[&str]| program(folder.path(), words);

    let (code, listed, _) = say(&["list", "environment"]);
    assert!(
        code == 0 && listed.contains("countdown") && listed.contains("cart_pole_v1"),
        "{listed}"
    );
    let (code, described, _) = say(&["describe", "countdown"]);
    for part in [
        "x' = x + u\n",
        "2 numbers: position, time",
        "pace from -1 to 1",
        "longest episode: 4 steps",
        "coins",
        "the walk comes to its goal",
        "backwards, forwards",
        "goal",
        "source = \"demonstrations\"",
    ] {
        assert!(
            code == 0 && described.contains(part),
            "{part:?} is missing:\n{described}"
        );
    }

    let refused = |text: String, parts: &[&str]| {
        write(&text);
        let (code, _, said) = say(&["check", "e.toml"]);
        assert_eq!(code, 2, "{said}");
        for part in parts {
            assert!(said.contains(part), "{part:?} is missing:\n{said}");
        }
    };
    refused(
        EXPERIMENT.replace("goal = 5", "gaol = 5"),
        &["did you mean `goal`?", "e.toml:"],
    );
    refused(
        EXPERIMENT.replace("goal = 5", "goal = 0"),
        &["a whole number from 1 to 100"],
    );
    refused(
        EXPERIMENT.replace("goal = 5", "goal = 13"),
        &["should be another number than 13"],
    );
    refused(
        EXPERIMENT.replace("\"countdown\"", "\"countdwn\""),
        &["did you mean \"countdown\"?"],
    );
    refused(
        EXPERIMENT.replace(
            "environment = \"countdown\"\nepisodes",
            "environment = \"pendulum_v1\"\nepisodes",
        ),
        &["the data have 2 given and 1 observed columns", "3 given (the state)"],
    );
    write(EXPERIMENT);
    assert_eq!(say(&["check", "e.toml"]).0, 0);

    let (code, out, said) = say(&["run", "e.toml", "--quiet", "--json"]);
    assert_eq!(code, 0, "{said}");
    assert!(out.contains("rollout/return"), "{out}");
    // 1 + 2 + 3 coins on reaching the goal at step 3; 1 + 2 + 3 + 4 coins where time is out before step 5.
    for (variant, expected) in [
        ("ends", [6.0, 3.0, 0.0, 1.0, 6.0, 6.0]),
        ("out-of-time", [10.0, 4.0, 1.0, 0.0, 10.0, 10.0]),
    ] {
        for seed in ["seed-000", "seed-001"] {
            let path = folder
                .path()
                .join("results/e")
                .join(variant)
                .join(seed)
                .join("run.json");
            let text = std::fs::read(&path).expect("a record");
            let metrics = serde_json::from_slice::<Value>(&text).expect("JSON")["metrics"].take();
            let names = [
                "return",
                "length",
                "truncated_fraction",
                "success_rate",
                "random_return",
                "expert_return",
            ];
            let found = names.map(|name| metrics[format!("rollout/{name}")].as_f64().unwrap_or(f64::NAN));
            assert_eq!(found, expected, "{variant}");
            // Only successes have routes.
            let has_routes = metrics.get("rollout/route_entropy").is_some();
            assert_eq!(has_routes, variant == "ends", "{metrics}");
        }
    }
    let (code, compared, _) = say(&["compare", "e.toml"]);
    assert!(code == 0 && compared.contains("return (rollout/return)"), "{compared}");
}
