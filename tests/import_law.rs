//! The import rules of the modules, checked on the source: which module may import from which, and that randomness is
//! always an argument.

use latent_lab::data::GeneratorKind;
use latent_lab::environment::EnvironmentKind;
use latent_lab::kind::Family;
use latent_lab::model::ModelKind;
use latent_lab::objective::ObjectiveKind;
use latent_lab::posterior::PosteriorKind;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Every Rust file below `folder`, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// One file of `src/` without its comments.
struct Source {
    /// Its path below `src/`.
    path: String,
    /// The module it belongs to.
    room: String,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a text");
        let path = path.strip_prefix(&root).expect("below src").display().to_string();
        // The kernels are modules of a crate of their own.
        let path = path.strip_prefix("kernels/").unwrap_or(&path).to_owned();
        let room = path.split(['/', '.']).next().expect("a name").to_owned();
        let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
        Source {
            path,
            room,
            code: code.collect::<Vec<_>>().join("\n"),
        }
    };
    files(&root).into_iter().map(read).collect()
}

/// The modules in the order that `src/lib.rs` states after "this order:".
fn order() -> Vec<String> {
    let page = include_str!("../src/lib.rs").replace("//!", " ");
    let order = page
        .split("this order:")
        .nth(1)
        .expect("lib.rs states the order")
        .split('.')
        .next();
    let names = order.expect("a sentence").split('`').skip(1).step_by(2);
    names.map(str::to_owned).collect()
}

/// Every path below the crate's root that `code` names: `crate::a::{b::C, D}` gives `a::b::C` and `a::D`.
fn paths(code: &str) -> Vec<String> {
    let starts = code.match_indices("crate::").filter(|(at, _)| {
        // `$crate` and `my_crate` are other words.
        !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
    });
    starts
        .flat_map(|(at, start)| expand("", &code[at + start.len()..]).0)
        .collect()
}

/// The paths of the use tree that `text` begins with, and what stands behind it.
fn expand<'a>(prefix: &str, text: &'a str) -> (Vec<String>, &'a str) {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        let mut all = Vec::new();
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
            if rest.is_empty() {
                return (all, rest);
            }
            if let Some(rest) = rest.strip_prefix('}') {
                return (all, rest);
            }
            let (inner, behind) = expand(prefix, rest);
            all.extend(inner);
            // Past `as name`, which ends an entry as well.
            rest = behind.find([',', '}', '{', ';']).map_or("", |end| &behind[end..]);
        }
    }
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    let path = if prefix.is_empty() {
        text[..end].to_owned()
    } else {
        format!("{prefix}::{}", &text[..end])
    };
    match text[end..].strip_prefix("::") {
        Some(deeper) if !deeper.starts_with('<') => expand(&path, deeper),
        _ => (vec![path], &text[end..]),
    }
}

#[test]
fn the_reader_of_use_trees_reads_them() {
    let code = "use crate::{Result, data::{Batch, source::Widths as W}, nn};\nfn f() { crate::math::block::<f64>(); }";
    assert_eq!(
        paths(code),
        ["Result", "data::Batch", "data::source::Widths", "nn", "math::block"]
    );
    assert_eq!(paths("use crate::spec;\nuse other_crate::cli;"), ["spec"]);
}

#[test]
fn a_module_imports_only_from_modules_before_it() {
    let order = order();
    let place = |room: &str| order.iter().position(|known| known == room);
    let mut offences = Vec::new();
    let mut seen = BTreeSet::new();
    for source in sources()
        .iter()
        .filter(|source| !["lib", "main"].contains(&source.room.as_str()))
    {
        let own = place(&source.room).unwrap_or_else(|| panic!("src/{} is in no module of lib.rs", source.path));
        seen.insert(source.room.clone());
        for path in paths(&source.code) {
            let room = path.split("::").next().unwrap_or_default();
            if place(room).is_some_and(|other| other > own) {
                offences.push(format!(
                    "src/{}: `crate::{path}`, but {room} comes after {}",
                    source.path, source.room
                ));
            }
        }
        // In a module's own file `super` is the crate, and everything above it is another module.
        if source.path.ends_with("mod.rs") && source.path.matches('/').count() == 1 {
            let code = source.code.split("#[cfg(test)]").next().unwrap_or_default();
            if code.contains("super::") {
                offences.push(format!("src/{}: says `super::` for `crate::`", source.path));
            }
        }
    }
    assert_eq!(offences, [""; 0], "{}", offences.join("\n"));
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), {
        let mut all = order;
        all.sort();
        all
    });
}

/// Every path below the crate's root that the module `own` names in `code`, by `crate::` or by `super::`.
fn all_paths(own: &str, code: &str) -> Vec<String> {
    let mut all = paths(code);
    for (at, _) in code.match_indices("super::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
            continue; // Another word, or a later `super` of the same path.
        }
        let (mut base, mut rest): (Vec<&str>, _) = (own.split("::").collect(), &code[at..]);
        while let Some(deeper) = rest.strip_prefix("super::") {
            base.pop();
            rest = deeper;
        }
        all.extend(expand(&base.join("::"), rest).0);
    }
    all
}

#[test]
fn the_reader_of_relative_paths_reads_them() {
    let code = "use super::{a::B, super_c};\npub(super) fn f() { super::super::g::h(); crate::i(); }";
    assert_eq!(
        all_paths("x::y::z", code),
        ["i", "x::y::a::B", "x::y::super_c", "x::g::h"]
    );
}

/// Files that import each other in a circle, and those that import such files; what a folder's `mod.rs` hands on is left
/// out.
fn circles<'a>(files: &[(&'a str, &str)]) -> BTreeSet<&'a str> {
    let names: BTreeSet<&str> = files.iter().map(|(name, _)| *name).collect();
    let imports = |own: &str, code: &str| -> BTreeSet<&'a str> {
        let all = all_paths(own, code.split("#[cfg(test)]").next().unwrap_or_default());
        let file = |path: String| {
            let holds = |name: &&&'a str| path == **name || path.starts_with(&format!("{name}::"));
            names.iter().filter(holds).max_by_key(|name| name.len()).copied()
        };
        all.into_iter().filter_map(file).filter(|name| *name != own).collect()
    };
    let mut left: Vec<_> = files.iter().map(|(own, code)| (*own, imports(own, code))).collect();
    // What imports nothing that is left is in no circle.
    loop {
        let rest: BTreeSet<&str> = left.iter().map(|(own, _)| *own).collect();
        let before = left.len();
        left.retain(|(_, imports)| !imports.is_disjoint(&rest));
        if left.len() == before {
            return rest;
        }
    }
}

#[test]
fn files_of_the_kernels_import_each_other_one_way() {
    let leaf = ("a::leaf", "use crate::b::far;");
    let good = [leaf, ("a::user", "use super::leaf::X;"), ("b::far", "")];
    assert!(circles(&good).is_empty());
    let bad = [
        leaf,
        ("b::far", "fn f() { super::super::a::leaf::g() }"),
        ("a::user", ""),
    ];
    assert_eq!(circles(&bad), BTreeSet::from(["a::leaf", "b::far"]));
    let sources = sources();
    let own = sources
        .iter()
        .filter(|source| ["math", "nn"].contains(&source.room.as_str()));
    let own = own.filter(|source| !source.path.ends_with("mod.rs") && !source.path.contains("tests"));
    let named: Vec<(String, &str)> = own
        .map(|source| {
            (
                source.path.trim_end_matches(".rs").replace('/', "::"),
                source.code.as_str(),
            )
        })
        .collect();
    let files: Vec<(&str, &str)> = named.iter().map(|(name, code)| (name.as_str(), *code)).collect();
    assert!(files.len() > 50, "the reader found only {files:?}");
    assert_eq!(circles(&files), BTreeSet::new());
}

/// A model, a posterior and an objective may use only the items of each other's `mod.rs`.
#[test]
fn model_posterior_and_objective_meet_only_in_their_traits() {
    const ROOMS: [&str; 3] = ["model", "posterior", "objective"];
    let mut offences = Vec::new();
    let mut meetings = 0;
    for source in sources().iter().filter(|source| ROOMS.contains(&source.room.as_str())) {
        for path in paths(&source.code) {
            let parts: Vec<&str> = path.split("::").collect();
            if ROOMS.contains(&parts[0]) && parts[0] != source.room {
                meetings += 1;
                let is_type = parts.get(1).is_some_and(|name| name.starts_with(char::is_uppercase));
                if !is_type {
                    offences.push(format!(
                        "src/{}: `crate::{path}` looks inside {}",
                        source.path, parts[0]
                    ));
                }
            }
        }
    }
    assert!(meetings > 0, "the reader found none of the traits' uses");
    assert_eq!(offences, [""; 0], "{}", offences.join("\n"));
}

/// Candle's own generators are global and cannot be seeded on a processor.
#[test]
fn every_random_number_comes_from_a_named_stream() {
    const FORBIDDEN: [&str; 12] = [
        "Tensor::rand",
        "::randn(",
        "rand_like",
        "randn_like",
        "Var::rand",
        "Init::",
        "init::",
        "VarBuilder",
        "VarMap",
        "dropout",
        "Dropout",
        "thread_rng",
    ];
    let forbidden = |code: &str| FORBIDDEN.into_iter().find(|word| code.contains(word));
    assert_eq!(
        forbidden("let x = Tensor::randn(0.0, 1.0, 3, &Device::Cpu)?;"),
        Some("Tensor::rand")
    );
    for source in sources() {
        for (number, line) in source.code.lines().enumerate() {
            if let Some(word) = forbidden(line) {
                panic!(
                    "src/{}:{}: `{word}` draws from a generator that is not an argument",
                    source.path,
                    number + 1
                );
            }
        }
    }
}

/// The names of the kinds of a family, in quotes.
fn quoted<F: Family + ?Sized>() -> Vec<String> {
    let names = F::built_in().iter().map(|entry| entry.name);
    names.map(|name| format!("\"{name}\"")).collect()
}

/// Whether a line decides by one of these quoted names: by a comparison or a pattern. A description may name a kind in a
/// text.
fn decides_by(names: &[String], line: &str) -> bool {
    let is_pattern = line.contains("matches!(");
    names.iter().any(|name| {
        let patterns = [
            format!("== {name}"),
            format!("!= {name}"),
            format!("{name} =>"),
            format!("{name} |"),
            format!("| {name}"),
            format!("{name} if "),
            format!("Some({name})"),
        ];
        patterns.iter().any(|pattern| line.contains(pattern)) || (is_pattern && line.contains(name))
    })
}

/// What a kind needs, can do and is stands in its own file. Elsewhere the registry is asked, never the kind's name. A lecture
/// figure may ask for the options of the kind that it is about.
#[test]
fn no_module_decides_by_the_name_of_a_kind() {
    const ROOMS: [&str; 5] = ["environment", "data", "model", "posterior", "objective"];
    let names = vec!["\"ring\"".to_owned()];
    for line in [
        "if name == \"ring\" {",
        "\"ring\" => 1,",
        "\"file\" | \"ring\"",
        "\"ring\" if x => 1,",
        "matches!(name, \"file\" | \"ring\")",
        "if kind.get(\"source\") == Some(\"ring\")",
    ] {
        assert!(decides_by(&names, line), "{line}");
    }
    assert!(!decides_by(&names, "text(\"such as \\\"ring\\\"\", \"ring\");"));
    // Metrics may have the same names.
    let metrics = latent_lab::train::metrics::METRICS.iter();
    let metrics: Vec<String> = metrics
        .filter_map(|metric| metric.name.split('/').nth(1))
        .map(|name| format!("\"{name}\""))
        .collect();
    let mut names = [
        quoted::<dyn EnvironmentKind>(),
        quoted::<dyn GeneratorKind>(),
        quoted::<dyn ModelKind>(),
        quoted::<dyn PosteriorKind>(),
        quoted::<dyn ObjectiveKind>(),
    ]
    .concat();
    names.retain(|name| !metrics.contains(name));
    assert!(names.len() > 35, "the registries list {} kinds", names.len());
    let is_own = |source: &Source| ROOMS.contains(&source.room.as_str());
    let mut offences = Vec::new();
    let is_test = |source: &Source| source.path.ends_with("tests.rs");
    for source in sources().iter().filter(|source| !is_own(source) && !is_test(source)) {
        let code = source.code.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            let asks = line.contains(".get::<") && !source.path.starts_with("figure/lecture/");
            if asks || decides_by(&names, line) {
                offences.push(format!("src/{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    assert_eq!(offences, [""; 0], "{}", offences.join("\n"));
}

/// The traits of `code` with a method whose default fails.
fn failing_traits(code: &str) -> Vec<&str> {
    const FAILURES: [&str; 6] = ["Err(", "Error::", "panic!", "unreachable!", "unimplemented!", "todo!"];
    let parts = code.match_indices("trait ").filter(|(at, _)| {
        let before = code[..*at].rsplit('\n').next().unwrap_or_default().trim();
        before.is_empty() || before.starts_with("pub")
    });
    let bodies = parts.map(|(at, word)| code[at + word.len()..].split("\n}\n").next().unwrap_or_default());
    bodies
        .filter(|body| FAILURES.iter().any(|failure| body.contains(failure)))
        .map(|body| body.split([' ', ':', '{', '<']).next().unwrap_or_default())
        .collect()
}

/// No method of a trait exists to fail: a default that is an error would allow what cannot be asked.
#[test]
fn no_default_of_a_trait_is_an_error() {
    let bad = "use a::b;\npub(super) trait Bad: Send {\n    fn f(&self) -> Result<()> {\n        None.ok_or(Error::Lacking(\"f\"))\n    }\n}\n\
               trait Good {\n    fn f(&self) -> Option<u8> {\n        None\n    }\n}\nimpl Good for () {\n    fn f(&self) { panic!() }\n}\n";
    assert_eq!(failing_traits(bad), ["Bad"]);
    let mut offences = Vec::new();
    for source in sources() {
        offences.extend(
            failing_traits(&source.code)
                .iter()
                .map(|name| format!("src/{}: {name}", source.path)),
        );
    }
    assert_eq!(offences, [""; 0], "{}", offences.join("\n"));
}

/// The texts of the `Error::Other` in `code` that say that a kind lacks something.
fn lacking_texts(code: &str) -> Vec<&str> {
    const WORDS: [&str; 8] = [
        "this model",
        "this posterior",
        "this objective",
        "cannot be asked",
        "does not provide",
        "has no ",
        "support",
        "only for ",
    ];
    let texts = code.split("Error::Other(").skip(1).map(|rest| {
        let ends = [rest.find(';'), rest.find("\n}")];
        let end = ends.into_iter().flatten().min().unwrap_or(rest.len());
        &rest[..end]
    });
    texts
        .filter(|text| WORDS.iter().any(|word| text.contains(word)))
        .collect()
}

/// What a kind cannot be asked is a capability that it does not hand out, and [`latent_lab::Error::Lacking`] at the caller.
/// An `Error::Other` is what a user can act on.
#[test]
fn no_error_in_words_says_what_a_kind_lacks() {
    let bad = "Err(Error::Other(format!(\n    \"this model has no mean: {x}\"\n)));\nErr(Error::Other(\"θ is not finite\".into()));";
    assert_eq!(lacking_texts(bad).len(), 1);
    let rooms = ["model", "posterior", "objective", "control", "train"];
    let mut offences = Vec::new();
    for source in sources().iter().filter(|source| rooms.contains(&source.room.as_str())) {
        offences.extend(
            lacking_texts(&source.code)
                .iter()
                .map(|text| format!("src/{}: {text}", source.path)),
        );
    }
    assert_eq!(offences, [""; 0], "{}", offences.join("\n"));
}

/// One idea, one file. A longer file gives its reason in its first comment.
#[test]
fn a_file_of_more_than_400_lines_says_why() {
    const MOST_LINES: usize = 400;
    const REASON: &str = "//! Longer than 400 lines because ";
    let is_too_long = |text: &str| {
        let mut comment = text.lines().take_while(|line| line.starts_with("//!"));
        text.lines().count() > MOST_LINES && !comment.any(|line| line.starts_with(REASON))
    };
    let lines = |count: usize| "fn f() {}\n".repeat(count);
    assert!(!is_too_long(&lines(MOST_LINES)));
    assert!(is_too_long(&lines(MOST_LINES + 1)));
    assert!(is_too_long(&format!("{}{REASON}it is.\n", lines(MOST_LINES))));
    assert!(!is_too_long(&format!(
        "//! One table.\n{REASON}it is one.\n{}",
        lines(MOST_LINES)
    )));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let is_long = |path: &PathBuf| is_too_long(&std::fs::read_to_string(path).expect("a text"));
    let long: Vec<String> = files(&root)
        .into_iter()
        .filter(is_long)
        .map(|path| path.display().to_string())
        .collect();
    assert_eq!(long, [""; 0]);
}
