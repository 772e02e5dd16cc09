//! Kinds from outside the crate: a generator, a model, a posterior and an objective, each one file and one line of registration, that the
//! program reads, checks, lists, describes, trains and compares like its own.

mod checkerboard;
mod renyi;
mod student_t_mixture;
mod two_best;

use latent_lab::data::GeneratorKind;
use latent_lab::kind;
use latent_lab::model::ModelKind;
use latent_lab::objective::ObjectiveKind;
use latent_lab::posterior::PosteriorKind;
use std::ffi::OsString;
use std::process::Command;

/// Every kind of this test: one line each.
fn register() -> latent_lab::Result<()> {
    kind::register::<dyn GeneratorKind, checkerboard::Checkerboard>()?;
    kind::register::<dyn ModelKind, student_t_mixture::StudentTMixture>()?;
    kind::register::<dyn PosteriorKind, two_best::TwoBest>()?;
    kind::register::<dyn ObjectiveKind, renyi::Renyi>()
}

/// The arguments of [`as_a_program`], separated by this character.
const SEPARATOR: char = '\u{1f}';
const ARGUMENTS: &str = "LATENT_LAB_TEST_ARGUMENTS";

/// What the other tests start as a process of its own; without arguments it has nothing to do.
#[test]
fn as_a_program() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else {
        return;
    };
    register().expect("new names");
    let arguments = std::iter::once("latent-lab").chain(arguments.split(SEPARATOR));
    let code = latent_lab::cli::main_with(arguments.map(OsString::from));
    std::process::exit(if code == std::process::ExitCode::SUCCESS { 0 } else { 2 });
}

/// What the program with the foreign kinds prints, and whether it ended well.
fn say(folder: &std::path::Path, arguments: &[&str]) -> (bool, String) {
    let program = std::env::current_exe().expect("this test");
    let said = Command::new(program)
        .args(["as_a_program", "--exact", "--nocapture", "--quiet"])
        .env(ARGUMENTS, arguments.join(&SEPARATOR.to_string()))
        .env("COLUMNS", "200")
        .current_dir(folder)
        .output()
        .expect("a process");
    let text = [said.stdout, said.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (said.status.success(), text.concat())
}

fn file(model: &str, posterior: &str, objective: &str) -> String {
    format!(
        "question = \"Foreign?\"\nseeds = 3\n[data]\nsource = \"three_clusters\"\ntrain = 200\ntest = 200\n[model]\nkind = {model:?}\n\
         [posterior]\nkind = {posterior:?}\n[objective]\nkind = {objective:?}\n[training]\noptimizer = \"adam\"\nsteps = 60\n\
         learning_rate = 0.05\nevaluate_every = 60\n"
    )
}

#[test]
fn foreign_kinds_are_listed_and_described_and_their_examples_run() {
    let folder = tempfile::tempdir().expect("a folder");
    for (family, name) in [
        ("data", "checkerboard"),
        ("model", "student_t_mixture"),
        ("posterior", "two_best"),
        ("objective", "renyi"),
    ] {
        let (is_well, list) = say(folder.path(), &["list", family]);
        assert!(is_well && list.contains(name), "{list}");
        let (is_well, page) = say(folder.path(), &["describe", family, name]);
        assert!(is_well && page.contains("An example that runs"), "{page}");
        let example = page.split("An example that runs").nth(1).expect("an example");
        let lines = example.lines().skip(1).take_while(|line| !line.starts_with("test "));
        let example: Vec<&str> = lines.map(str::trim).filter(|line| !line.starts_with(':')).collect();
        let path = format!("{name}.toml");
        std::fs::write(folder.path().join(&path), example.join("\n")).expect("a file");
        let (is_well, said) = say(
            folder.path(),
            &[
                "run",
                &path,
                "--seeds",
                "1",
                "--set",
                "training.steps=2",
                "--set",
                "training.evaluate_every=2",
            ],
        );
        assert!(is_well, "{name}: {said}\n{}", example.join("\n"));
    }
}

#[test]
fn foreign_kinds_train_with_those_of_the_crate() {
    let folder = tempfile::tempdir().expect("a folder");
    for (model, posterior, objective) in [
        ("student_t_mixture", "exact", "expected_log_likelihood"),
        ("student_t_mixture", "two_best", "expected_log_likelihood"),
        ("student_t_mixture", "exact", "marginal_likelihood"),
        ("gaussian_mixture", "two_best", "elbo"),
        ("gaussian_mixture", "sampled", "renyi"),
        ("student_t_mixture", "sampled", "renyi"),
    ] {
        std::fs::write(folder.path().join("e.toml"), file(model, posterior, objective)).expect("a file");
        let (is_well, said) = say(folder.path(), &["run", "e.toml", "--fresh", "--json", "--quiet"]);
        assert!(is_well, "{model} {posterior} {objective}: {said}");
        for seed in 0..3 {
            let metrics = metrics_of(folder.path(), seed);
            let value = |line: &str| {
                let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
                line["train/log_likelihood"].as_f64().expect("an exact likelihood")
            };
            let values: Vec<f64> = metrics.lines().map(value).collect();
            // The Gaussian mixture starts at its clusters, near the optimum: its gain over 60 steps is hundredths of a nat.
            assert!(
                values[values.len() - 1] > values[0] + 0.002,
                "{model} {posterior} {objective}: {values:?}"
            );
        }
    }
}

/// The metrics of the only variant's run with this seed.
fn metrics_of(folder: &std::path::Path, seed: u64) -> String {
    let mut folders = vec![folder.join("results")];
    while let Some(folder) = folders.pop() {
        let path = folder.join(format!("seed-{seed:03}/metrics.jsonl"));
        if let Ok(text) = std::fs::read_to_string(path) {
            return text;
        }
        let inner = std::fs::read_dir(folder).expect("a folder").flatten();
        folders.extend(inner.map(|entry| entry.path()).filter(|path| path.is_dir()));
    }
    panic!("no metrics of seed {seed}")
}

#[test]
fn needs_are_checked_for_foreign_kinds_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let latent = file("latent_gaussian", "two_best", "expected_log_likelihood");
    std::fs::write(folder.path().join("e.toml"), latent).expect("a file");
    let (is_well, said) = say(folder.path(), &["check", "e.toml"]);
    assert!(
        !is_well && said.contains("two_best") && said.contains("e.toml:10"),
        "{said}"
    );
    let em = file("student_t_mixture", "exact", "expected_log_likelihood").replace(
        "optimizer = \"adam\"\nsteps = 60\nlearning_rate = 0.05\nevaluate_every = 60",
        "optimizer = \"em\"\nsteps = 5",
    );
    std::fs::write(folder.path().join("e.toml"), em).expect("a file");
    let (is_well, said) = say(folder.path(), &["check", "e.toml"]);
    assert!(!is_well && said.contains("no closed-form M-step"), "{said}");
    let unknown = file("student_t_mixture", "two_best", "expected_log_likelihood")
        .replace("[posterior]", "componets = 2\n[posterior]");
    std::fs::write(folder.path().join("e.toml"), unknown).expect("a file");
    let (is_well, said) = say(folder.path(), &["check", "e.toml"]);
    assert!(
        !is_well && said.contains("componets") && said.contains("components"),
        "{said}"
    );
}

/// A foreign generator has its oracle in every evaluation, and its faults are those of its own checks and keys.
#[test]
fn a_foreign_generator_is_drawn_checked_and_scored() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = file("gaussian_mixture", "exact", "expected_log_likelihood")
        .replace("source = \"three_clusters\"", "source = \"checkerboard\"\nsquares = 4");
    std::fs::write(folder.path().join("e.toml"), &text).expect("a file");
    let (is_well, said) = say(folder.path(), &["run", "e.toml", "--fresh", "--json", "--quiet"]);
    assert!(is_well, "{said}");
    let metrics = metrics_of(folder.path(), 0);
    let last: serde_json::Value = serde_json::from_str(metrics.lines().last().expect("a line")).expect("JSON");
    let value = |name: &str| last[name].as_f64().unwrap_or_else(|| panic!("no {name} in {last}"));
    assert!((value("test/oracle") + 8f64.ln()).abs() < 1e-12, "{last}");
    assert!(value("test/log_likelihood") < value("test/oracle"), "{last}");
    for (wrong, words) in [
        ("squares = 5", "`squares` should be even"),
        ("sqares = 4", "did you mean `squares`?"),
        ("squares = 101", "from 2 to 100"),
    ] {
        std::fs::write(folder.path().join("e.toml"), text.replace("squares = 4", wrong)).expect("a file");
        let (is_well, said) = say(folder.path(), &["check", "e.toml"]);
        assert!(!is_well && said.contains(words), "{wrong}: {said}");
    }
}
