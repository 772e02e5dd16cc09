//! Tells the program which git revision it is built from: `LATENT_LAB_COMMIT` (the commit's full hash) and
//! `LATENT_LAB_DIRTY` (whether a file that the program is made of differs from that commit).
//!
//! Both are absent where the sources are in no git repository of their own, as in an unpacked archive. A package made
//! by `cargo package` names its commit in `.cargo_vcs_info.json`.

use std::path::Path;
use std::process::Command;

/// What the program is made of. A change elsewhere, such as in the README, does not make another program.
const SOURCES: [&str; 5] = ["src", "envs", "build.rs", "Cargo.toml", "Cargo.lock"];
/// Where `cargo package` writes the commit.
const PACKAGED: &str = ".cargo_vcs_info.json";

fn main() {
    for path in SOURCES
        .iter()
        .chain(&[PACKAGED])
        .filter(|path| Path::new(path).exists())
    {
        println!("cargo:rerun-if-changed={path}");
    }
    let revision = match is_own_repository() {
        true => checked_out(),
        false => packaged(),
    };
    if let Some((commit, dirty)) = revision {
        println!("cargo:rustc-env=LATENT_LAB_COMMIT={commit}");
        println!("cargo:rustc-env=LATENT_LAB_DIRTY={dirty}");
    }
}

/// Whether the repository around this folder is that of the program, not one that holds a copy of its sources.
fn is_own_repository() -> bool {
    let top = git(&["rev-parse", "--show-toplevel"]).and_then(|top| std::fs::canonicalize(top).ok());
    top.is_some() && top == std::fs::canonicalize(".").ok()
}

/// The commit that is checked out, and whether a source differs from it.
fn checked_out() -> Option<(String, bool)> {
    let commit = git(&["rev-parse", "HEAD"])?;
    // A commit or a checkout changes `HEAD`, or the branch that it names: a file, or a line of `packed-refs`.
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "packed-refs"].into_iter().chain(branch.as_deref()) {
        let Some(path) = git(&["rev-parse", "--git-path", name]) else {
            continue;
        };
        // Cargo would run this script before every build if a path did not exist, so its existing parent is watched
        // instead.
        let found = Path::new(&path).ancestors().find(|path| path.exists());
        if let Some(path) = found.filter(|path| name.starts_with("refs/") || path.is_file()) {
            println!("cargo:rerun-if-changed={}", path.display());
        }
    }
    let status = ["status", "--porcelain", "--untracked-files=normal", "--"];
    let changes = git(&[&status[..], &SOURCES].concat())?;
    Some((commit, !changes.is_empty()))
}

/// The commit that a package was made from.
fn packaged() -> Option<(String, bool)> {
    let text = std::fs::read_to_string(PACKAGED).ok()?;
    let (_, rest) = text.split_once("\"sha1\"")?;
    let commit = rest.split('"').nth(1)?;
    let is_hash = commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| (commit.to_owned(), text.contains("\"dirty\": true")))
}

/// The output of git, without the final newline; none without git, or if it fails.
fn git(arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    // No optional lock and no file monitor: the query must not change or start anything.
    command
        .args(["--no-optional-locks", "-c", "core.fsmonitor=false"])
        .args(arguments);
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim_end().to_owned())
}
