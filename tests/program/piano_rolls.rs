//! The script that converts piano rolls to files that the program reads.

use crate::laboratory::Laboratory;
use crate::tables::load;
use latent_lab::data::Rows;
use std::path::Path;
use std::process::Command;

/// Three sequences of MIDI numbers, with a rest, the lowest and the highest key.
const JSON: &str = r#"{
    "train": [[[60, 64, 67], [], [21, 108]], [[60]]],
    "valid": [[[61], [62]]],
    "test": [[[60, 67], [60, 67]]]
}"#;

fn notes() -> Vec<String> {
    (21..=108).map(|note| format!("note_{note}")).collect()
}

/// The steps of [`JSON`] as rows of 88 columns.
fn rows(steps: &[&[usize]]) -> Vec<f64> {
    let row = |notes: &&[usize]| {
        (21..=108)
            .map(|note| f64::from(u8::from(notes.contains(&note))))
            .collect::<Vec<_>>()
    };
    steps.iter().flat_map(row).collect()
}

/// The result of the script with these arguments in the laboratory; none where there is no Python.
fn convert(laboratory: &Laboratory, arguments: &[&str]) -> Option<(bool, String)> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/piano_rolls");
    let mut command = Command::new("python3");
    let said = command
        .arg(script)
        .args(arguments)
        .current_dir(laboratory.path(""))
        .output()
        .ok()?;
    let text = [said.stdout, said.stderr].concat();
    Some((said.status.success(), String::from_utf8(text).expect("UTF-8")))
}

#[test]
fn the_script_writes_what_the_reader_reads() {
    let laboratory = Laboratory::new().and("rolls.json", JSON);
    for (end, option, observed) in [("npz", None, vec!["notes".to_owned()]), ("csv", Some("--csv"), notes())] {
        let arguments: Vec<&str> = ["rolls.json", "out"].into_iter().chain(option).collect();
        let Some((ended_well, said)) = convert(&laboratory, &arguments) else {
            return;
        };
        assert!(ended_well, "{said}");
        assert!(said.contains(&format!("train.{end}: 2 sequences, 4 steps")), "{said}");
        let keys = format!(
            "path = \"out/train.{end}\"\ntest_path = \"out/test.{end}\"\nobserved = {observed:?}\nepisode = \"episode\""
        );
        let splits = load(&laboratory.path(""), &keys, Rows::Steps).expect("two files");
        assert_eq!(splits.train.lengths.as_deref(), Some(&[3, 1][..]));
        assert_eq!(
            splits.train.observed.values(),
            rows(&[&[60, 64, 67], &[], &[21, 108], &[60]])
        );
        let test = splits.test.expect("a test part");
        assert_eq!(test.lengths.as_deref(), Some(&[2][..]));
        assert_eq!(test.observed.values(), rows(&[&[60, 67], &[60, 67]]));
    }
}

/// Half a count is added to the counts of the four training steps: 60 sounds in 2 and 67 in 1 of them.
#[test]
fn the_script_scores_baselines() {
    let laboratory = Laboratory::new().and("rolls.json", JSON);
    let Some((_, said)) = convert(&laboratory, &["rolls.json", "--baselines"]) else {
        return;
    };
    // On in 2 of 4, on in 1 of 4, off where on in 1 of 4 (64, 21, 108), off where always off.
    let share = |count: f64, of: f64| -((count + 0.5) / (of + 1.0)).ln();
    let independent = share(2.0, 4.0) + share(1.0, 4.0) + 3.0 * share(3.0, 4.0) + 83.0 * share(4.0, 4.0);
    assert!(said.contains(&format!("{independent:.3} nats")), "{said} {independent}");
    // From silence: 60 comes in 2 of 3, 67 and 64 in 1 of 3, 21 and 108 in 1 of 4. Held: 60 in 0 of 1, 67 in 0 of 1.
    let first = share(2.0, 3.0) + share(1.0, 3.0) + share(2.0, 3.0) + 2.0 * share(3.0, 4.0) + 83.0 * share(4.0, 4.0);
    let second = share(0.0, 1.0) + share(0.0, 1.0) + share(2.0, 3.0) + 2.0 * share(3.0, 4.0) + 83.0 * share(4.0, 4.0);
    let chains = 0.5 * (first + second);
    assert!(said.contains(&format!("{chains:.3} nats")), "{said} {chains}");
}

#[test]
fn the_script_names_the_place_of_a_fault() {
    for (json, part) in [
        (r#"{"train": [[[60]]], "valid": [[[60]]]}"#, "there is no part test"),
        (
            r#"{"train": [[[60], [20]]], "valid": [[[60]]], "test": [[[60]]]}"#,
            "train, sequence 0, step 1: expected MIDI numbers from 21 to 108, got 20",
        ),
        (
            r#"{"train": [[]], "valid": [], "test": []}"#,
            "train, sequence 0: expected a list",
        ),
        (r#"{"train": "#, "rolls.json: "),
        ("[]", "expected an object"),
    ] {
        let laboratory = Laboratory::new().and("rolls.json", json);
        let Some((ended_well, said)) = convert(&laboratory, &["rolls.json", "out"]) else {
            return;
        };
        assert!(
            !ended_well && said.contains(part) && !said.contains("Traceback"),
            "{said}"
        );
        assert!(!laboratory.path("out").exists());
    }
}
