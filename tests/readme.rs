//! The README's example is a valid experiment file, and its commands use existing verbs; continuous integration runs
//! them.

use std::path::Path;

fn blocks<'a>(readme: &'a str, language: &str) -> Vec<&'a str> {
    let start = format!("```{language}\n");
    readme
        .split(&start)
        .skip(1)
        .map(|rest| rest.split("```").next().expect("an end"))
        .collect()
}

#[test]
fn the_example_is_a_sound_experiment() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("a README");
    let examples = blocks(&readme, "toml");
    assert!(!examples.is_empty());
    let folder = tempfile::tempdir().expect("a folder");
    for (number, example) in examples.iter().enumerate() {
        let file = folder.path().join(format!("example-{number}.toml"));
        std::fs::write(&file, example).expect("a file");
        let check = assert_cmd::Command::new(env!("CARGO_BIN_EXE_latent-lab"))
            .arg("check")
            .arg(&file)
            .assert();
        check.success();
    }
}

#[test]
fn every_command_has_a_verb() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("a README");
    let commands: Vec<&str> = blocks(&readme, "sh")
        .into_iter()
        .flat_map(str::lines)
        .filter_map(|line| line.strip_prefix("latent-lab "))
        .collect();
    assert!(commands.len() >= 8);
    for command in commands {
        let verb = command.split_whitespace().next().expect("a verb");
        let help = assert_cmd::Command::new(env!("CARGO_BIN_EXE_latent-lab"))
            .args([verb, "--help"])
            .assert();
        help.success();
    }
}
