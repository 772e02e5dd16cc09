//! Tests of the whole record: a stand-in for training is killed at any step and must end with the same bytes.

use super::*;
use crate::error::{Error, Result};
use candle_core::{Device, Tensor};
use std::path::{Path, PathBuf};

const SPEC: &str = "name = \"tree\"\nsteps = 60\nlearning_rate = 0.01\n";
const STEPS: u64 = 60;

fn address(results: &Path, seed: u64) -> RunAddress {
    RunAddress {
        results: results.to_owned(),
        experiment: "tree".into(),
        variant: "mixture of 5".into(),
        seed,
    }
}

fn open(results: &Path) -> Result<Run> {
    Run::open(&address(results, 3), &Identity::new(SPEC, "hash"))
}

fn state(weight: f64, step: u64) -> Checkpoint {
    Checkpoint {
        step,
        tensors: [("weight".to_owned(), Tensor::new(weight, &Device::Cpu).unwrap())].into(),
        metadata: [("optimizer".to_owned(), "adam".to_owned())].into(),
    }
}

/// A chaotic "training": any mistake in resuming changes every later digit. Evaluates every 5 steps, checkpoints every
/// 15, and is killed after step `killed` (before that step's evaluation). Returns whether it came to the end.
fn train(results: &Path, killed: u64) -> Result<bool> {
    let mut run = open(results)?;
    let (mut weight, first) = match run.resume()? {
        Some(checkpoint) => (checkpoint.tensors["weight"].to_scalar::<f64>()?, checkpoint.step + 1),
        None => (0.3, 1),
    };
    run.announce()?;
    let clock = run.clock();
    for step in first..=STEPS {
        weight *= 3.9 * (1.0 - weight);
        if step == killed {
            return Ok(false);
        }
        if step % 20 == 0 {
            run.note(step, "component 2 was empty and started again")?;
        }
        if step % 5 == 0 {
            run.append(
                step,
                &[
                    ("test/log_likelihood".into(), weight),
                    ("train/loss".into(), -weight / 3.0),
                ],
            )?;
        }
        if step % 15 == 0 {
            run.spent(clock.read());
            run.checkpoint(&state(weight, step))?;
        }
    }
    run.spent(clock.read());
    run.finish(Status::Done, &[("final/log_likelihood".into(), weight)])?;
    Ok(true)
}

fn deterministic_files(results: &Path) -> Vec<Vec<u8>> {
    let dir = address(results, 3).dir();
    let names = [
        file::SPEC,
        file::METRICS,
        file::EVENTS,
        file::CHECKPOINT,
        file::PREVIOUS,
    ];
    names.map(|name| std::fs::read(dir.join(name)).unwrap()).into()
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let dir = address(folder.path(), 3).dir();
    (folder, dir)
}

/// Runs to the end without interruption and returns the content of the record.
fn undisturbed() -> Vec<Vec<u8>> {
    let (folder, _) = folder();
    assert!(train(folder.path(), u64::MAX).unwrap());
    deterministic_files(folder.path())
}

#[test]
fn a_run_killed_anywhere_ends_in_the_same_bytes() {
    let expected = undisturbed();
    for killed in [1, 5, 6, 14, 15, 16, 29, 30, 31, 32, 45, 46, 60] {
        let (folder, dir) = folder();
        assert!(!train(folder.path(), killed).unwrap());
        assert_eq!(read_state(&dir).unwrap(), State::Partial);
        // What a kill in the middle of a write leaves: half a line, half a file.
        let torn = [
            std::fs::read(dir.join(file::METRICS)).unwrap(),
            b"{\"step\":61,\"te".to_vec(),
        ]
        .concat();
        std::fs::write(dir.join(file::METRICS), torn).unwrap();
        std::fs::write(dir.join(".unfinished-x1y2"), b"half a checkpoint").unwrap();
        train(folder.path(), killed / 2 + 20).unwrap();
        assert!(train(folder.path(), u64::MAX).unwrap());
        assert_eq!(
            deterministic_files(folder.path()),
            expected,
            "killed after step {killed}"
        );
        assert!(!dir.join(".unfinished-x1y2").exists());
        let manifest = read_manifest(&dir).unwrap().unwrap();
        assert_eq!((manifest.status, manifest.last_step), (Status::Done, Some(STEPS)));
        assert!(manifest.sessions >= 2 && manifest.wall_seconds > 0.0 && manifest.finished.is_some());
    }
}

#[test]
fn a_damaged_checkpoint_gives_way_to_the_one_before_it() {
    let expected = undisturbed();
    let (folder, dir) = folder();
    train(folder.path(), 50).unwrap();
    let path = dir.join(file::CHECKPOINT);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(read_checkpoint(&dir).unwrap().step, 30);

    let mut run = open(folder.path()).unwrap();
    assert_eq!(run.resume().unwrap().unwrap().step, 30);
    let notes = &run.manifest().notes;
    assert!(
        notes[0].contains("resumed from step 30") && notes[0].contains(file::CHECKPOINT),
        "{notes:?}"
    );
    drop(run);
    assert_eq!(
        std::fs::read(dir.join("checkpoint.safetensors.damaged")).unwrap(),
        &bytes[..bytes.len() - 1]
    );
    // Killed again before a new checkpoint: the intact one is still there.
    train(folder.path(), 40).unwrap();
    assert_eq!(read_checkpoint(&dir).unwrap().step, 30);
    assert!(train(folder.path(), u64::MAX).unwrap());
    assert_eq!(deterministic_files(folder.path()), expected);
}

#[test]
fn with_both_checkpoints_damaged_it_begins_again_and_says_so() {
    let expected = undisturbed();
    let (folder, dir) = folder();
    train(folder.path(), 50).unwrap();
    for name in [file::CHECKPOINT, file::PREVIOUS] {
        std::fs::write(dir.join(name), b"").unwrap();
    }
    assert!(
        read_checkpoint(&dir)
            .unwrap_err()
            .to_string()
            .contains("not an intact checkpoint")
    );
    assert!(train(folder.path(), u64::MAX).unwrap());
    assert_eq!(deterministic_files(folder.path()), expected);
    assert_eq!(read_manifest(&dir).unwrap().unwrap().notes.len(), 2);
}

#[test]
fn metrics_that_the_checkpoint_relies_on_cannot_be_missing() {
    let (folder, dir) = folder();
    train(folder.path(), 50).unwrap();
    let text = std::fs::read_to_string(dir.join(file::METRICS)).unwrap();
    std::fs::write(dir.join(file::METRICS), text.lines().next().unwrap().to_owned() + "\n").unwrap();
    let error = train(folder.path(), u64::MAX).unwrap_err().to_string();
    let expected = "metrics.jsonl: 1 lines up to step 45, but its checkpoint was written after 9";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn one_process_at_a_time() {
    let (folder, dir) = folder();
    let mut run = open(folder.path()).unwrap();
    run.resume().unwrap();
    run.announce().unwrap();
    let error = open(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("another process is running this run") && error.contains("seed-003"),
        "{error}"
    );
    assert!(Run::replace(&address(folder.path(), 3), &Identity::new(SPEC, "hash")).is_err());
    assert_eq!(read_state(&dir).unwrap(), State::Running);
    drop(run);
    assert_eq!(read_state(&dir).unwrap(), State::Partial);
    assert!(open(folder.path()).is_ok());
}

#[test]
fn another_specification_is_refused_with_what_differs() {
    let (folder, dir) = folder();
    train(folder.path(), u64::MAX).unwrap();
    let before = deterministic_files(folder.path());
    let other = SPEC.replace("0.01", "0.001");
    let address = address(folder.path(), 3);
    let error = Run::open(&address, &Identity::new(&other, "other"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("learning_rate: 0.01 in the record, 0.001 now\n"),
        "{error}"
    );
    assert!(!error.contains("steps") && error.contains("--fresh"), "{error}");
    let error = Run::open(&address, &Identity::new(SPEC, "other"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("a data file has changed"), "{error}");
    assert_eq!(deterministic_files(folder.path()), before);

    let mut run = Run::replace(&address, &Identity::new(&other, "other")).unwrap();
    assert!(run.resume().unwrap().is_none());
    run.announce().unwrap();
    drop(run);
    assert_eq!(read_run(&dir).unwrap().spec_toml, other);
    assert!(read_checkpoint(&dir).unwrap_err().to_string().contains("no checkpoint"));
}

#[test]
fn a_finished_run_is_left_alone() {
    let (folder, _) = folder();
    train(folder.path(), u64::MAX).unwrap();
    let path = address(folder.path(), 3).dir().join(file::MANIFEST);
    let before = std::fs::read(&path).unwrap();
    let run = open(folder.path()).unwrap();
    assert!(run.is_done());
    drop(run);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_damaged_manifest_is_reported_and_replaced_but_only_for_the_same_specification() {
    let (folder, dir) = folder();
    train(folder.path(), 50).unwrap();
    for damage in ["", "{\"schema_version\": 1, \"status\"", "[]"] {
        std::fs::write(dir.join(file::MANIFEST), damage).unwrap();
        assert!(matches!(read_state(&dir).unwrap(), State::Damaged { reason } if reason.contains("run.json")));
        assert!(matches!(read_run(&dir), Err(Error::Record(_))));
        assert!(Run::open(&address(folder.path(), 3), &Identity::new("steps = 9", "other")).is_err());
        let mut run = open(folder.path()).unwrap();
        assert_eq!(run.resume().unwrap().unwrap().step, 45);
        assert!(run.manifest().notes[0].contains("could not be read"));
    }
}

#[test]
fn records_read_back() {
    let (folder, dir) = folder();
    train(folder.path(), u64::MAX).unwrap();
    let record = read_run(&dir).unwrap();
    assert_eq!(record.spec_toml, SPEC);
    assert_eq!(record.warnings, [""; 0]);
    assert_eq!(record.metrics.len(), 12);
    let mut weight = 0.3;
    for step in 1..=STEPS {
        weight *= 3.9 * (1.0 - weight);
        if let Some(line) = record.metrics.iter().find(|line| line.step == step) {
            assert_eq!(line.values["test/log_likelihood"].to_bits(), f64::to_bits(weight));
        }
    }
    assert_eq!(record.manifest.metrics["final/log_likelihood"], weight);
    assert_eq!(
        record.events.iter().map(|event| event.step).collect::<Vec<_>>(),
        [20, 40, 60]
    );
    let first = std::fs::read_to_string(dir.join(file::METRICS)).unwrap();
    let first = first.lines().next().unwrap();
    assert!(
        first.starts_with("{\"step\":5,\"test/log_likelihood\":0.") && first.contains(",\"train/loss\":-0."),
        "{first}"
    );
}

#[test]
fn invalid_entries_are_refused() {
    let (folder, _) = folder();
    let mut run = open(folder.path()).unwrap();
    assert!(run.append(1, &[]).unwrap_err().to_string().contains("call `resume`"));
    run.resume().unwrap();
    for value in [f64::NAN, f64::INFINITY] {
        let error = run.append(5, &[("prior".into(), value)]).unwrap_err();
        assert!(matches!(error, Error::NonFinite { term, step: 5, seed: 3, .. } if term == "prior"));
    }
    let twice = run.append(5, &[("a".into(), 1.0), ("a".into(), 2.0)]).unwrap_err();
    assert!(twice.to_string().contains("`a` appears twice at step 5"));
    assert!(
        run.append(5, &[("step".into(), 1.0)])
            .unwrap_err()
            .to_string()
            .contains("`step` appears twice")
    );
    run.append(10, &[("a".into(), 1.0)]).unwrap();
    assert!(
        run.checkpoint(&state(0.5, 5))
            .unwrap_err()
            .to_string()
            .contains("cannot follow step 10")
    );
    run.checkpoint(&state(0.5, 10)).unwrap();
    run.checkpoint(&state(0.5, 10)).unwrap();
    assert!(
        run.append(10, &[])
            .unwrap_err()
            .to_string()
            .contains("append a step's lines first")
    );
    assert!(matches!(
        run.finish(Status::Done, &[("a".into(), f64::NAN)]),
        Err(Error::NonFinite { .. })
    ));
}

#[test]
fn a_failed_write_is_an_error_that_names_the_file() {
    let (folder, dir) = folder();
    let blocked = folder.path().join("a file");
    std::fs::write(&blocked, b"").unwrap();
    let error = open(&blocked).unwrap_err().to_string();
    assert!(error.contains("a file") && error.contains("seed-003"), "{error}");

    // A folder in the place of the file that is to be renamed: the checkpoint before it stays.
    train(folder.path(), 20).unwrap();
    let mut run = open(folder.path()).unwrap();
    run.resume().unwrap();
    std::fs::create_dir_all(dir.join(file::PREVIOUS).join("full")).unwrap();
    let error = run.checkpoint(&state(0.5, 30)).unwrap_err().to_string();
    assert!(error.contains(file::PREVIOUS), "{error}");
    assert_eq!(read_checkpoint(&dir).unwrap().step, 15);
}

#[test]
fn an_experiments_runs_are_listed_with_their_states() {
    let (folder, _) = folder();
    let results = folder.path();
    assert_eq!(list_runs(&address(results, 0).experiment_dir()).unwrap(), []);
    assert_eq!(read_state(&address(results, 0).dir()).unwrap(), State::New);
    let start = |seed| {
        let mut run = Run::open(&address(results, seed), &Identity::new(SPEC, "hash")).unwrap();
        run.resume().unwrap();
        run.announce().unwrap();
        run
    };
    start(0).finish(Status::Done, &[]).unwrap();
    start(1)
        .finish(
            Status::Failed {
                reason: "prior became NaN".into(),
            },
            &[],
        )
        .unwrap();
    start(2).finish(Status::Interrupted, &[]).unwrap();
    let _live = start(1000);
    std::fs::create_dir_all(address(results, 0).experiment_dir().join("figures")).unwrap();
    std::fs::create_dir_all(address(results, 4).dir()).unwrap();

    let runs = list_runs(&address(results, 0).experiment_dir()).unwrap();
    let seen: Vec<_> = runs.into_iter().map(|run| (run.variant, run.seed, run.state)).collect();
    let failed = State::Failed {
        reason: "prior became NaN".into(),
    };
    let named = |seed, state| ("mixture of 5".to_owned(), seed, state);
    assert_eq!(
        seen,
        [
            named(0, State::Done),
            named(1, failed),
            named(2, State::Partial),
            ("mixture-of-5".to_owned(), 4, State::Partial),
            named(1000, State::Running),
        ]
    );
}
