//! Planned and unplanned looks, aggregates over experiments, placebo comparisons and calibration.

use crate::laboratory::{Laboratory, SMALL};
use serde_json::Value;

/// The small experiment with a third variant that hardly differs from the first.
fn three() -> String {
    format!("{SMALL}\n[[variant]]\nname = \"again\"\ntraining.steps = 4\n")
}

fn read(laboratory: &Laboratory, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(laboratory.path(name)).expect("a file")).expect("JSON")
}

/// The seeds of each variant that are done.
fn done(summary: &Value) -> Vec<usize> {
    let variants = summary["variants"].as_array().expect("a list").iter();
    let of = |variant: &Value| {
        let seeds = variant["seeds"].as_array().expect("a list").iter();
        seeds.filter(|seed| seed["status"] == "done").count()
    };
    variants.map(of).collect()
}

const PLANNED: [&str; 7] = [
    "run",
    "e.toml",
    "--quiet",
    "--until-decided",
    "--max-seeds=16",
    "--look-every=7",
    "--level=0.9",
];

/// A decided variant stops; the reference continues with the other one to the end.
#[test]
fn seeds_are_added_until_each_comparison_is_decided() {
    let laboratory = Laboratory::with(&three());
    let said = laboratory.say(&PLANNED).expect(0);
    let summary = read(&laboratory, "results/e/summary.json");
    assert_eq!(done(&summary), [16, 9, 16], "{}", said.out);
    let verdicts: Vec<&Value> = summary["differences"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|found| &found["decision"]["verdict"])
        .collect();
    assert_eq!(verdicts, ["better", "undecided"], "{}", said.out);
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("better, after planned looks with 2, 9 seeds"), "{words}");
    assert!(words.contains("undecided with all 16 planned seeds"), "{words}");
    assert!(words.contains("repeated sign-flip intervals"), "{words}");
    assert_eq!(summary["differences"][0]["looks"], serde_json::json!([2, 9]));
    // The same command again changes nothing; another plan on the same seeds is refused.
    let before = laboratory.files("results");
    laboratory.say(&PLANNED).expect(0);
    assert!(before == laboratory.files("results"));
    let said = laboratory.say(&["run", "e.toml", "--quiet", "--until-decided", "--max-seeds=30"]);
    assert_ne!(said.code, Some(0));
    assert!(
        said.err.contains("--level 0.9 --max-seeds 16 --look-every 7"),
        "{}",
        said.err
    );
    // `compare` shows the finding of the plan, and `--fresh` does not forget the looks.
    let compared = laboratory.say(&["compare", "e.toml"]).expect(0);
    assert!(compared.out.contains("planned looks"), "{}", compared.out);
    let looks = std::fs::read(laboratory.path("results/e/looks.json")).expect("looks");
    laboratory.say(&["run", "e.toml", "--quiet", "--fresh=all"]).expect(0);
    assert_eq!(
        looks,
        std::fs::read(laboratory.path("results/e/looks.json")).expect("looks")
    );
}

/// An interrupted plan continues with the same results.
#[test]
fn a_plan_resumes_where_it_stopped() {
    let (whole, cut) = (Laboratory::with(&three()), Laboratory::with(&three()));
    whole.say(&PLANNED).expect(0);
    cut.say(&PLANNED).expect(0);
    // As after the first look: the later runs and their looks are gone.
    let mut looks = read(&cut, "results/e/looks.json");
    for test in looks["plan"]["tests"].as_array_mut().expect("a list") {
        for list in ["looks", "seeds", "differences"] {
            test[list]
                .as_array_mut()
                .expect("a list")
                .truncate(if list == "looks" { 1 } else { 2 });
        }
    }
    std::fs::write(cut.path("results/e/looks.json"), looks.to_string()).expect("a file");
    for variant in ["two", "three", "again"] {
        for seed in 5..16 {
            let _ = std::fs::remove_dir_all(cut.path(format!("results/e/{variant}/seed-{seed:03}")));
        }
    }
    cut.say(&PLANNED).expect(0);
    assert_eq!(read(&cut, "results/e/looks.json"), read(&whole, "results/e/looks.json"));
}

#[test]
fn a_smallest_difference_of_interest_ends_a_comparison_as_negligible() {
    let laboratory = Laboratory::with(&three());
    let said = laboratory.say(&[&PLANNED[..], &["--difference=5"]].concat()).expect(0);
    let summary = read(&laboratory, "results/e/summary.json");
    let verdict = |i: usize| summary["differences"][i]["decision"]["verdict"].clone();
    assert_eq!(
        (verdict(0), verdict(1)),
        ("better".into(), "negligible".into()),
        "{}",
        said.out
    );
    assert!(done(&summary)[2] < 16);
}

#[test]
fn a_plan_that_can_decide_nothing_is_refused() {
    let laboratory = Laboratory::with(&three());
    for (flags, expected) in [
        (&["--until-decided", "--max-seeds=6"][..], "at least 7 seeds are needed"),
        (&["--until-decided", "--max-seeds=1"], "--max-seeds 1"),
        (&["--until-decided", "--difference=-1"], "expected a positive number"),
        (&["--until-decided", "--level=95"], "such as 0.95"),
        (&["--max-seeds=6"], "--until-decided"),
    ] {
        let said = laboratory.say(&[&["run", "e.toml", "--quiet"], flags].concat());
        assert_ne!(said.code, Some(0), "{flags:?}");
        assert!(said.err.contains(expected), "{flags:?}: {}", said.err);
        assert!(!laboratory.path("results/e/two").exists(), "{flags:?}");
    }
    let alone = SMALL.split("[[variant]]").next().expect("a base").to_owned();
    let said = Laboratory::with(&alone).say(&["run", "e.toml", "--quiet", "--until-decided"]);
    assert!(said.err.contains("add a [[variant]]"), "{}", said.err);
}

/// Seeds that are added after a look at the result make a 5 % test err more often: the table says so.
#[test]
fn unplanned_looks_are_flagged() {
    let laboratory = Laboratory::with(SMALL);
    let words = |seeds: &str| {
        let said = laboratory
            .say(&["run", "e.toml", "--quiet", "--seeds", seeds])
            .expect(0);
        said.out.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(!words("2").contains("looked at"), "two seeds show no interval");
    assert!(!words("5").contains("looked at"), "one look is what the test is for");
    let extended = words("8");
    assert!(extended.contains("looked at with 5, 8 seeds"), "{extended}");
    assert!(
        extended.contains("false positives of a 5 % test to about 16–24 %"),
        "{extended}"
    );
    let summary = read(&laboratory, "results/e/summary.json");
    assert_eq!(summary["differences"][0]["looks"], serde_json::json!([5, 8]));
    // `compare` counts as a look, except with the same number of seeds again. A later plan is told of the looks.
    let compared = laboratory.say(&["compare", "e.toml"]).expect(0);
    assert!(compared.out.contains("5, 8 seeds"), "{}", compared.out);
    let said = laboratory.say(&PLANNED).expect(0);
    assert!(
        said.out
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .contains("before the plan was made it was looked at"),
        "{}",
        said.out
    );
    // Other settings are another comparison.
    let other = SMALL.replace("steps = 3", "steps = 5");
    std::fs::write(laboratory.path("e.toml"), other).expect("a file");
    let said = laboratory.say(&["run", "e.toml", "--quiet", "--fresh"]).expect(0);
    assert!(!said.out.contains("looked at"), "{}", said.out);
}

#[test]
fn damaged_looks_are_an_error_in_words() {
    let laboratory = Laboratory::with(SMALL);
    laboratory.say(&["run", "e.toml", "--quiet", "--seeds", "3"]).expect(0);
    std::fs::write(laboratory.path("results/e/looks.json"), "{").expect("a file");
    let said = laboratory.say(&["compare", "e.toml"]).expect(1);
    assert!(
        said.err.contains("looks.json") && said.err.contains("Restore the file"),
        "{}",
        said.err
    );
}

#[test]
fn several_experiments_have_one_normalised_score() {
    let other = SMALL.replace("train = 40", "train = 60");
    let laboratory = Laboratory::with(&SMALL.replace("seeds = 2", "seeds = 4"))
        .and("f.toml", other.replace("seeds = 2", "seeds = 4"));
    laboratory.say(&["run", "e.toml", "f.toml", "--quiet"]).expect(0);
    let json = laboratory
        .say(&["compare", "e.toml", "f.toml", "--aggregate", "--json"])
        .expect(0)
        .json();
    // By hand, from the two summaries: (x − baseline)/(oracle − baseline), all runs together, the middle half.
    let mut scores = Vec::new();
    for name in ["e", "f"] {
        let summary = read(&laboratory, &format!("results/{name}/summary.json"));
        let (oracle, baseline) = (
            summary["oracle"].as_f64().unwrap(),
            summary["baseline"].as_f64().unwrap(),
        );
        for seed in summary["variants"][1]["seeds"].as_array().unwrap() {
            let x = seed["metrics"]["test/log_likelihood"].as_f64().unwrap();
            scores.push((x - baseline) / (oracle - baseline));
        }
    }
    let mean = scores.iter().sum::<f64>() / 8.0;
    scores.sort_by(f64::total_cmp);
    let middle = scores[2..6].iter().sum::<f64>() / 4.0;
    let of = |key: &str| json["variants"][1][key]["value"].as_f64().unwrap();
    assert!((of("interquartile_mean") - middle).abs() < 1e-12 && (of("mean") - mean).abs() < 1e-12);
    let interval = &json["variants"][1]["interquartile_mean"]["interval"];
    assert!(interval[0].as_f64() < Some(middle) && Some(middle) < interval[1].as_f64());
    assert_eq!(json["improvements"][0]["against"], "two");
    let said = laboratory
        .say(&["compare", "e.toml", "f.toml", "--aggregate"])
        .expect(0);
    for words in [
        "baseline 0, oracle 1",
        "interquartile mean",
        "probability of improvement over \"two\"",
        "performance profile",
    ] {
        assert!(said.out.contains(words), "{}", said.out);
    }
    // One experiment is no benchmark; without an oracle there is no common scale.
    assert!(
        laboratory
            .say(&["compare", "e.toml", "--aggregate"])
            .expect(2)
            .err
            .contains("two files or more")
    );
    let own = SMALL.replace(
        "source = \"three_clusters\"\ntrain = 40\ntest = 20",
        "source = \"file\"\npath = \"p.csv\"\nobserved = [\"x\"]",
    );
    let laboratory = laboratory.and("g.toml", own).and("p.csv", "x\n1\n2\n4\n7\n8\n11\n");
    laboratory.say(&["run", "g.toml", "--quiet"]).expect(0);
    let said = laboratory
        .say(&["compare", "e.toml", "g.toml", "--aggregate"])
        .expect(2);
    assert!(
        said.err.contains("no oracle is known") && said.err.contains("\"g\""),
        "{}",
        said.err
    );
}

#[test]
fn a_variant_can_be_compared_with_itself() {
    let laboratory = Laboratory::with(&SMALL.replace("seeds = 2", "seeds = 14"));
    laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    let said = laboratory.say(&["compare", "e.toml", "--placebo"]).expect(0);
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("of 1000 random splits of this variant's 14 seeds into two halves of 7"),
        "{words}"
    );
    let few = laboratory
        .say(&["compare", "e.toml", "--placebo", "--seeds", "6"])
        .expect(0);
    assert!(few.out.contains("can never be decided"), "{}", few.out);
}

#[test]
fn intervals_can_be_made_in_other_ways() {
    let laboratory = Laboratory::with(&SMALL.replace("seeds = 2", "seeds = 8"));
    laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    let with = |method: &str| {
        laboratory
            .say(&["compare", "e.toml", "--interval", method, "--json"])
            .expect(0)
            .json()
    };
    let (plain, studentized) = (with("student_t"), with("bootstrap_t"));
    let interval = |json: &Value| json["variants"][0]["summary"]["test/log_likelihood"]["mean_interval"].clone();
    assert_eq!(interval(&studentized)["method"], "bootstrap_t");
    assert_ne!(interval(&studentized)["low"], interval(&plain)["low"]);
    assert_eq!(studentized["differences"][0]["interval"]["method"], "bootstrap_t");
    assert!(interval(&with("percentile")).is_null(), "eight runs are too few");
    let said = laboratory
        .say(&["compare", "e.toml", "--interval", "bootstrap_t"])
        .expect(0);
    assert!(said.out.contains("intervals: bootstrap-t"), "{}", said.out);
    laboratory
        .say(&["compare", "e.toml", "--interval", "trimmed_t"])
        .expect(2);
}

#[test]
fn calibration_writes_its_tables() {
    let laboratory = Laboratory::new();
    for (what, simulations) in [("intervals", "4"), ("sequential", "1")] {
        let arguments = [
            "calibrate",
            what,
            "--simulations",
            simulations,
            "--resamples",
            "5",
            "--output",
            "tables",
        ];
        let said = laboratory.say(&arguments).expect(0);
        let first = laboratory.files("tables");
        let table = String::from_utf8(first[&format!("{what}.csv")].clone()).expect("UTF-8");
        assert!(table.lines().count() > 30);
        assert!(
            said.out
                .contains(&format!("latent-lab calibrate {what} --simulations {simulations}")),
            "{}",
            said.out
        );
        laboratory.say(&arguments).expect(0);
        assert_eq!(
            first[&format!("{what}.csv")],
            laboratory.files("tables")[&format!("{what}.csv")]
        );
    }
}
