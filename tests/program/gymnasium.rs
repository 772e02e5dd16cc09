//! Environments of Gymnasium in a Python process: the program explores them and rolls out in them, and says what is wrong
//! with them. Python finds a stand-in for Gymnasium; `tests/gymnasium.rs` asks the real one.

use crate::laboratory::{Laboratory, Said};
use std::path::Path;
use std::time::{Duration, Instant};

/// The interpreter that finds the stand-in.
fn python() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gymnasium/python");
    path.display().to_string()
}

/// An environment with further keys.
fn environment(further: &str) -> String {
    format!(
        "environment = {{ kind = \"gymnasium\", id = \"Pendulum-v1\", python = {:?}{further} }}",
        python()
    )
}

/// An exploration of 60 steps in episodes of 10.
fn exploration(further: &str) -> String {
    format!(
        "question = \"How does it move?\"\nseeds = 2\n[data]\nsource = \"exploration\"\n{}\nlength = 10\ntrain = 60\ntest = 20\n\
         reward = true\n[model]\nkind = \"linear_gaussian_ssm\"\nstates = 2\n[training]\noptimizer = \"em\"\nsteps = 2\n",
        environment(further)
    )
}

/// A policy of three given columns and one observed column.
fn policy(further: &str) -> String {
    format!(
        "question = \"How does it act?\"\nseeds = 1\n[data]\nsource = \"file\"\npath = \"rows.csv\"\nobserved = [\"u\"]\n\
         given = [\"x\", \"y\", \"t\"]\n[model]\nkind = \"conditional_mixture\"\ncomponents = 1\n[training]\noptimizer = \
         \"adam\"\nsteps = 5\n[evaluation]\nmetrics = [\"rollout/return\"]\n[evaluation.rollout]\n{}\nepisodes = 7\n",
        environment(further)
    )
}

fn rows() -> String {
    let row = |i: u32| format!("{},{},{},{}\n", i % 3, i % 5, i % 7, f64::from(i % 4) - 1.5);
    format!("x,y,t,u\n{}", (0..40).map(row).collect::<String>())
}

/// What `check` says about an exploration in this environment.
#[track_caller]
fn refused(further: &str) -> String {
    Laboratory::with(&exploration(further))
        .say(&["check", "e.toml"])
        .expect(2)
        .err
}

#[track_caller]
fn contains(text: &str, parts: &[&str]) {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in parts {
        assert!(flat.contains(part), "{part:?} is missing:\n{text}");
    }
}

fn run(laboratory: &Laboratory, further: &[&str]) -> Said {
    laboratory.say(&[&["run", "e.toml", "--quiet"], further].concat())
}

/// `run.json` of the run in `folder`.
fn record(laboratory: &Laboratory, folder: &str) -> serde_json::Value {
    let bytes = std::fs::read(laboratory.path(folder).join("run.json")).expect("a record");
    serde_json::from_slice(&bytes).expect("JSON")
}

/// The processes that were started with `words`, where the system lists them.
fn processes(words: &str) -> usize {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = all.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines
        .filter(|line| String::from_utf8_lossy(line).contains(words))
        .count()
}

/// Two runs in two folders, one after another and side by side, leave the same bytes, and say which versions they had.
#[test]
fn explorations_are_reproducible_and_name_their_versions() {
    let laboratory = Laboratory::with(&exploration(""));
    run(&laboratory, &["--results", "a", "--jobs", "1"]).expect(0);
    run(&laboratory, &["--results", "b", "--jobs", "2"]).expect(0);
    let (a, b) = (laboratory.promised("a"), laboratory.promised("b"));
    assert!(a.len() >= 4 && a == b, "{:?}", a.keys());
    let seeds = ["000", "001"].map(|seed| a.iter().find(|(name, _)| name.contains(&format!("{seed}/metrics"))));
    assert_ne!(seeds[0].map(|(_, bytes)| bytes), seeds[1].map(|(_, bytes)| bytes));
    let record = record(&laboratory, "a/e/e/seed-000");
    assert_eq!(record["software"]["gymnasium"], "0.0.1");
    assert_eq!(record["software"]["numpy"], "0.0.2");
    assert!(
        record["software"]["python"]
            .as_str()
            .is_some_and(|version| version.starts_with('3'))
    );
}

/// What an environment prints comes between no numbers.
#[test]
fn a_policy_is_rolled_out() {
    for (further, steps) in [
        ("", 200.0),
        (", arguments = { wrong = \"print\" }", 200.0),
        (", arguments = { actions = \"discrete\", speed = 0.001 }", 200.0),
        (", episode_length = 5", 5.0),
    ] {
        let laboratory = Laboratory::with(&policy(further)).and("rows.csv", rows());
        run(&laboratory, &[]).expect(0);
        let metrics = &record(&laboratory, "results/e/e/seed-000")["metrics"];
        assert_eq!(metrics["rollout/length"], steps, "{further}: {metrics}");
        assert_eq!(metrics["rollout/truncated_fraction"], 1.0, "{further}: {metrics}");
        assert_ne!(
            metrics["rollout/return"], metrics["rollout/random_return"],
            "{further}: {metrics}"
        );
    }
}

#[test]
fn what_cannot_be_used_is_found_before_the_run() {
    let of = |arguments: &str| format!(", arguments = {{ {arguments} }}");
    for (further, parts) in [
        (
            of("observations = \"discrete\""),
            &["observations in Discrete(5)", "FlattenObservation"][..],
        ),
        (
            of("actions = \"square\""),
            &["actions in Box", "in one dimension, or Discrete"],
        ),
        (of("actions = \"whole\""), &["actions in Box", "real numbers"]),
        (
            of("actions = \"unbounded\""),
            &["between finite bounds", "RescaleAction"],
        ),
        (
            of("colour = \"red\""),
            &["gymnasium cannot make `Pendulum-v1`", "colour"],
        ),
        (
            of("max_episode_steps = false"),
            &["has no time limit: set `episode_length`"],
        ),
        (
            ", timeout = 1, arguments = { wrong = \"slow\" }".to_owned(),
            &["no answer within 1 s", "`timeout`"],
        ),
        (", episode_length = 0".to_owned(), &["a whole number from 1"]),
        (", colour = 3".to_owned(), &["unknown key `colour`"]),
    ] {
        contains(&refused(&further), parts);
    }
    let text = exploration("");
    let refused = |text: String| Laboratory::with(&text).say(&["check", "e.toml"]).expect(2).err;
    contains(
        &refused(text.replace("Pendulum-v1", "Pendulm-v1")),
        &["gymnasium cannot make `Pendulm-v1`", "Did you mean: `Pendulum`?"],
    );
    contains(
        &refused(text.replace(&python(), "no-such-python")),
        &[
            "`no-such-python` cannot be started: there is no such program",
            "`python = \"…\"` names another one",
        ],
    );
    contains(
        &refused(text.replace(&python(), "/bin/echo")),
        &["`/bin/echo` is no Python interpreter"],
    );
    contains(
        &refused(text.replace(&environment(""), "environment = \"gymnasium\"")),
        &["`gymnasium`: missing field `id`", "`{ kind = \"gymnasium\", … }`"],
    );
    contains(
        &refused(
            text.replace("exploration\"", "demonstrations\"")
                .replace("length = 10\n", "")
                .replace("reward = true\n", ""),
        ),
        &["should have an expert", "`gymnasium` has none"],
    );
    contains(
        &refused(format!("{text}[evaluation.control]\ntasks = 1\n")),
        &["`gymnasium` has no images"],
    );
    // An interpreter without the package.
    let laboratory = Laboratory::new();
    let folder = laboratory.path("empty");
    std::fs::create_dir(&folder).expect("a folder");
    let bare = "#!/bin/sh\nexec python3 -S -E \"$@\"\n".to_owned();
    let laboratory = laboratory.and("bare", bare);
    std::fs::set_permissions(
        laboratory.path("bare"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .expect("a mode");
    let bare = laboratory.path("bare").display().to_string();
    contains(
        &refused(text.replace(&python(), &bare)),
        &[
            "cannot import gymnasium",
            "pip install gymnasium",
            "python = \"venv/bin/python\"",
        ],
    );
}

/// An environment that fails ends its run with the reason; the other runs go on, and no process is left.
#[test]
fn a_failure_in_a_run_fails_that_run_with_its_reason() {
    for (wrong, parts) in [
        (
            "raise",
            &["failed at step 3: ValueError: the point is lost (__init__.py, line"][..],
        ),
        (
            "die",
            &["failed at step 3: its process ended (exit status: 3)", "the last words"],
        ),
        ("hang", &["failed at step 3: no answer within 1 s"]),
        ("nan", &["failed at step 3: number 0 of the observation is NaN"]),
        ("reward", &["failed at step 3: the reward is inf"]),
        (
            "short",
            &["failed at step 3: ValueError: an observation of 1 numbers, and the observation space has 3"],
        ),
        ("start", &["failed at the start: RuntimeError: it cannot start"]),
    ] {
        let start = Instant::now();
        let text = exploration(", timeout = 1").replace("seeds = 2", "seeds = 1");
        let variants =
            "[[variant]]\nname = \"sound\"\n[[variant]]\nname = \"broken\"\ndata.environment.arguments.wrong = ";
        let text = format!("{text}{variants}{wrong:?}\n");
        let laboratory = Laboratory::with(&text);
        run(&laboratory, &[]).expect(1);
        let status = |variant: &str| record(&laboratory, &format!("results/e/{variant}/seed-000"));
        assert_eq!(status("sound")["status"], "done");
        let broken = status("broken");
        assert_eq!(broken["status"], "failed");
        contains(broken["reason"].as_str().expect("a reason"), parts);
        assert!(start.elapsed() < Duration::from_secs(30));
        assert_eq!(processes(&format!("\"wrong\":{wrong:?}")), 0, "{wrong}");
    }
    let laboratory = Laboratory::with(&policy(", arguments = { wrong = \"raise\" }")).and("rows.csv", rows());
    let said = run(&laboratory, &[]).expect(1);
    contains(&said.out, &["failed at step 3 of episode 1 of 7"]);
}
