//! The program and its outputs: full disks, colours, widths, progress without a terminal, JSON without other text.

use crate::laboratory::{Laboratory, SMALL};
use std::process::{Output, Stdio};

/// An experiment of which `e.toml` is sound and `bad.toml` is not.
fn laboratory() -> Laboratory {
    Laboratory::with(SMALL).and("bad.toml", SMALL.replace("components = 2", "components = 0"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn with(laboratory: &Laboratory, line: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = laboratory.command(line);
    command.envs(variables.iter().copied());
    command.output().expect("the program starts")
}

/// A full disk under the output is an error in every command, and the records are still written.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_under_standard_output_is_an_error() {
    let laboratory = laboratory();
    let full = || {
        std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .expect("Linux has it")
    };
    let lines: [&[&str]; 15] = [
        &["run", "e.toml", "--quiet"],
        &["run", "e.toml", "--quiet", "--json"],
        &["check", "e.toml"],
        &["check", "e.toml", "--json"],
        &["plan", "e.toml"],
        &["compare", "e.toml"],
        &["list"],
        &["list", "model"],
        &["describe"],
        &["describe", "gaussian_mixture"],
        &["figure"],
        &["completions", "bash"],
        &["schema"],
        &["--help"],
        &["--version"],
    ];
    for line in lines {
        let output = laboratory
            .command(line)
            .stdout(full())
            .output()
            .expect("the program starts");
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{line:?}: {err}");
        assert!(
            err.contains("standard output") && err.contains("No space left"),
            "{line:?}: {err}"
        );
    }
    assert!(
        laboratory
            .files("results")
            .contains_key("e/two/seed-001/checkpoint.safetensors")
    );
    // If standard error is full as well, the exit code remains.
    for (line, code) in [
        (&["check", "bad.toml"][..], 2),
        (&["run", "e.toml"], 0),
        (&["describe", "nothing"], 2),
    ] {
        let mut command = laboratory.command(line);
        let status = command
            .stdout(Stdio::null())
            .stderr(full())
            .status()
            .expect("the program starts");
        assert_eq!(status.code(), Some(code), "{line:?}");
    }
}

#[test]
fn colours_are_as_the_environment_wants_them() {
    let laboratory = laboratory();
    let is_coloured = |line: &[&str], variables: &[(&str, &str)]| {
        let output = with(&laboratory, line, variables);
        output.stdout.contains(&0x1b) || output.stderr.contains(&0x1b)
    };
    for line in [&["check", "bad.toml"][..], &["run", "bad.toml"], &["--help"], &["fly"]] {
        assert!(!is_coloured(line, &[]), "{line:?} in a pipe");
        assert!(is_coloured(line, &[("CLICOLOR_FORCE", "1")]), "{line:?}, forced");
        let forbidden = [("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")];
        assert!(!is_coloured(line, &forbidden), "{line:?}, forbidden");
    }
}

#[test]
fn progress_without_a_terminal_is_a_line_per_run() {
    let laboratory = laboratory();
    let said = laboratory.say(&["run", "e.toml"]).expect(0);
    let mut lines: Vec<&str> = said.err.lines().collect();
    assert_eq!(lines.len(), 4, "{}", said.err);
    assert!(
        lines[3].starts_with("[4/4] ") && lines[0].starts_with("[1/4] "),
        "{}",
        said.err
    );
    lines.sort_by_key(|line| line.split_once(' ').map(|(_, rest)| rest.to_owned()));
    assert!(lines[0].contains("three · seed 0: done in "), "{}", said.err);
    assert!(lines[3].contains("two · seed 1: done in "), "{}", said.err);
    // Runs that were finished before get no line.
    assert_eq!(laboratory.say(&["run", "e.toml"]).expect(0).err, "");
    assert_eq!(
        laboratory
            .say(&["run", "e.toml", "--fresh=all", "--quiet"])
            .expect(0)
            .err,
        ""
    );
}

#[test]
fn tables_fit_the_columns_that_are_asked_for() {
    let laboratory = laboratory();
    laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    for columns in [80, 100] {
        for line in [
            &["list"][..],
            &["list", "metric"],
            &["list", "model"],
            &["list", "data"],
            &["list", "training"],
            &["list", "figure"],
            &["describe", "adam"],
            &["describe", "evaluation"],
            &["describe", "environment"],
            &["plan", "e.toml"],
            &["compare", "e.toml"],
        ] {
            let output = with(&laboratory, line, &[("COLUMNS", &columns.to_string())]);
            for line_of_text in text(&output.stdout).lines() {
                let width = unicode_width::UnicodeWidthStr::width(line_of_text);
                assert!(width <= columns, "{line:?}: {width} > {columns}: {line_of_text}");
            }
        }
    }
}

/// What is printed into a pipe is for programs: a row is a line, and numbers have ASCII signs.
#[test]
fn piped_tables_can_be_parsed() {
    let laboratory = laboratory();
    let said = laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    let row = said.out.lines().find(|line| line.starts_with("three ")).expect("a row");
    let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    let mean: f64 = cells[2].parse().expect(row);
    assert!(mean < 0.0, "{row}");
    assert!(!said.out.contains('−'), "{}", said.out);
}

#[test]
fn check_as_json_says_nothing_else() {
    let laboratory = laboratory();
    let twins = SMALL.replace("model.components = 3", "model.components = 2");
    let laboratory = laboratory.and("twins.toml", twins);
    let said = laboratory.say(&["check", "bad.toml", "twins.toml", "--json"]).expect(2);
    assert_eq!(said.err, "");
    let json = said.json();
    assert_eq!(json[0]["faults"][0]["at"]["line"], 11);
    let warning = json[1]["warnings"][0]["message"].as_str().expect("a message");
    assert!(warning.contains("same spec"), "{warning}");
    assert_eq!(
        (&json[1]["variants"], &json[1]["faults"]),
        (&2.into(), &serde_json::json!([]))
    );
}

/// The figures of the lecture are part of the program.
#[test]
fn figures_are_drawn_in_any_folder() {
    let laboratory = Laboratory::new();
    let listed = laboratory.say(&["figure"]).expect(0);
    assert!(
        listed.out.contains("mixture_density_network") && listed.out.contains("--all"),
        "{}",
        listed.out
    );
    let said = laboratory
        .say(&["figure", "density", "regression", "--seeds", "1"])
        .expect(0);
    assert!(
        said.err.contains("figure 1 of 2: density") && said.err.contains("figure 2 of 2: regression"),
        "{}",
        said.err
    );
    for line in said.out.lines() {
        assert!(laboratory.path(line).is_file(), "{line}");
    }
    assert!(said.out.contains("density.svg"), "{}", said.out);
}
