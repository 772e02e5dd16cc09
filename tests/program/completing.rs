//! Completions in a real bash: the script is sourced and driven as the shell drives it.

use crate::laboratory::{Laboratory, SMALL};
use std::process::Command;

/// What bash offers for the last of `words` of a command line.
fn complete(laboratory: &Laboratory, words: &[&str]) -> Vec<String> {
    let script = r#"
        program=$1; shift
        source <("$program" completions bash)
        COMP_WORDS=(latent-lab "$@")
        COMP_CWORD=$#
        COMP_TYPE=9
        function=$(complete -p latent-lab | sed 's/.*-F \([^ ]*\).*/\1/')
        "$function" latent-lab "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let output = Command::new("bash")
        .args([
            "--norc",
            "--noprofile",
            "-c",
            script,
            "bash",
            env!("CARGO_BIN_EXE_latent-lab"),
        ])
        .args(words)
        .current_dir(laboratory.path(""))
        .output()
        .expect("bash");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    assert!(output.status.success(), "{}", text(&output.stderr));
    // Without a candidate, `printf` writes an empty line.
    let lines = text(&output.stdout);
    lines
        .lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_word_is_completed_in_bash() {
    let laboratory = Laboratory::with(SMALL).and("notes.txt", "").and("rows.csv", "");
    std::fs::create_dir(laboratory.path("experiments")).expect("a folder");
    let offered = |words: &[&str]| complete(&laboratory, words);
    let cases: [(&[&str], &[&str]); 14] = [
        (&["ru"], &["run"]),
        (&["run", "--se"], &["--set", "--seeds"]),
        (&["run", "e"], &["e.toml", "experiments/"]),
        (&["run", ""], &["e.toml"]),
        (&["check", "e."], &["e.toml"]),
        (&["compare", "e."], &["e.toml"]),
        (&["list", "mo"], &["model"]),
        (&["list", ""], &["environment", "seeds"]),
        (&["describe", "metr"], &["metric"]),
        (&["describe", "gaussian_m"], &["gaussian_mixture"]),
        (&["describe", "model", "gaussian_m"], &["gaussian_mixture"]),
        (&["describe", "metric", "test/ela"], &[]),
        (&["figure", "mixture_d"], &["mixture_density_network"]),
        (&["run", "e.toml", "--set", "model.comp"], &["model.components="]),
    ];
    for (words, expected) in cases {
        let found = offered(words);
        assert!(
            expected.iter().all(|word| found.contains(&(*word).to_owned())),
            "{words:?}: {found:?}"
        );
        let last = words.last().copied().unwrap_or_default();
        assert!(found.iter().all(|word| word.starts_with(last)), "{words:?}: {found:?}");
    }
    assert!(
        !offered(&["run", ""]).contains(&"notes.txt".to_owned()),
        "no experiment file"
    );
    assert!(
        !offered(&["describe", "model", ""]).contains(&"elbo".to_owned()),
        "no model"
    );
}

#[test]
fn other_shells_have_scripts() {
    for (shell, part) in [
        ("zsh", "#compdef latent-lab"),
        ("fish", "complete --keep-order --exclusive --command latent-lab"),
        ("elvish", "set edit:completion:arg-completer[latent-lab]"),
        ("powershell", "-CommandName latent-lab"),
    ] {
        let said = Laboratory::new().say(&["completions", shell]).expect(0);
        assert!(said.out.contains(part), "{shell}: {}", said.out);
    }
}
