//! The text of a comparison: its runs, what is compared with what, and the limits of its numbers.

use crate::laboratory::{Laboratory, SMALL};
use serde_json::Value;

/// Two variants at two points of a grid, and validation rows to choose by.
fn grid() -> String {
    let data = "train = 40\ntest = 20\nvalidation_fraction = 0.2";
    let small = SMALL
        .replace("train = 40\ntest = 20", data)
        .replace("seeds = 2", "seeds = 4");
    format!("{small}\n[grid]\n\"training.steps\" = [1, 3]\n")
}

/// How many seeds of each variant are done, of how many.
fn seeds(summary: &Value) -> Vec<(usize, usize)> {
    let of = |variant: &Value| {
        let seeds = variant["seeds"].as_array().expect("a list");
        (
            seeds.iter().filter(|seed| seed["status"] == "done").count(),
            seeds.len(),
        )
    };
    summary["variants"].as_array().expect("a list").iter().map(of).collect()
}

fn summary(laboratory: &Laboratory) -> Value {
    let text = std::fs::read(laboratory.path("results/e/summary.json")).expect("a summary");
    serde_json::from_slice(&text).expect("JSON")
}

#[test]
fn a_short_look_keeps_the_summary_of_all_seeds() {
    let laboratory = Laboratory::with(&SMALL.replace("seeds = 2", "seeds = 6"));
    laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    let before = laboratory.files("results");
    let said = laboratory.say(&["run", "e.toml", "--quiet", "--seeds", "1"]).expect(0);
    assert!(said.out.contains("6/6"), "{}", said.out);
    assert_eq!(seeds(&summary(&laboratory)), [(6, 6), (6, 6)]);
    assert!(before == laboratory.files("results"), "the short look changed a file");
    // Seeds that the file does not name count as well, in every later command.
    laboratory
        .say(&["run", "e.toml", "--quiet", "--seeds", "7..9"])
        .expect(0);
    laboratory.say(&["run", "e.toml", "--quiet", "--seeds", "2"]).expect(0);
    assert_eq!(seeds(&summary(&laboratory)), [(8, 8), (8, 8)]);
    assert!(laboratory.say(&["compare", "e.toml"]).expect(0).out.contains("8/8"));
    // A question on some seeds is answered on these, and writes nothing.
    let asked = laboratory.say(&["compare", "e.toml", "--seeds", "2..5"]).expect(0);
    assert!(asked.out.contains("3/3"), "{}", asked.out);
    assert_eq!(seeds(&summary(&laboratory)), [(8, 8), (8, 8)]);
    let plan = laboratory.say(&["plan", "e.toml"]).expect(0);
    assert!(plan.out.contains("4 finished runs of other seeds"), "{}", plan.out);
}

#[test]
fn before_anything_has_run_the_metric_is_the_one_that_will_be() {
    let laboratory = Laboratory::with(SMALL);
    let said = laboratory.say(&["compare", "e.toml"]).expect(0);
    assert!(
        said.out.contains("test log-likelihood (test/log_likelihood) in nats"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("0/2") && said.out.contains("4 runs have not been made yet"),
        "{}",
        said.out
    );
    let without_test = SMALL.replace(
        "source = \"three_clusters\"\ntrain = 40\ntest = 20",
        "source = \"file\"\npath = \"p.csv\"\nobserved = [\"x\"]",
    );
    let laboratory = Laboratory::with(&without_test).and("p.csv", "x\n1\n2\n4\n7\n");
    let said = laboratory.say(&["compare", "e.toml"]).expect(0);
    assert!(said.out.contains("(train/log_likelihood) in nats"), "{}", said.out);
}

#[test]
fn in_a_grid_variants_meet_at_the_same_point() {
    let laboratory = Laboratory::with(&grid());
    laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    let pairs = |json: &Value| {
        let list = json["differences"].as_array().expect("a list").iter();
        let text = |found: &Value, key: &str| found[key].as_str().expect("text").to_owned();
        list.map(|found| [text(found, "variant"), text(found, "against")])
            .collect::<Vec<_>>()
    };
    let expected = [
        ["three · steps=1", "two · steps=1"],
        ["three · steps=3", "two · steps=3"],
    ];
    assert_eq!(pairs(&summary(&laboratory)), expected);
    let said = laboratory.say(&["compare", "e.toml"]).expect(0);
    assert!(
        said.out.contains("difference from \"two\" at the same grid point"),
        "{}",
        said.out
    );
    // The other way round, from the file and from the folder.
    for source in ["e.toml", "results/e"] {
        let turned = laboratory
            .say(&["compare", source, "--against", "three", "--json"])
            .expect(0)
            .json();
        assert_eq!(pairs(&turned), expected.map(|[a, b]| [b, a]), "{source}");
        let wrong = laboratory.say(&["compare", source, "--against", "four"]).expect(2);
        assert!(wrong.err.contains("\"two\", \"three\""), "{}", wrong.err);
    }
}

#[test]
fn the_best_settings_are_chosen_on_other_rows_or_seeds_than_they_are_compared_on() {
    let laboratory = Laboratory::with(&grid());
    laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    let by_rows = laboratory.say(&["compare", "e.toml", "--best"]).expect(0);
    let words = by_rows.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "chosen by validation/log_likelihood on the validation rows of every seed",
        "the best of 2 settings (8 tuning runs)",
    ] {
        assert!(words.contains(part), "no {part:?} in {}", by_rows.out);
    }
    let by_seeds = ["compare", "e.toml", "--best", "--tuning-seeds", "0..2"];
    let json = laboratory.say(&[&by_seeds[..], &["--json"]].concat()).expect(0).json();
    assert_eq!(seeds(&json), [(2, 2), (2, 2)]);
    assert_eq!(json["best"]["tuning_seeds"], serde_json::json!([0, 1]));
    assert_eq!(json["best"]["choices"][0]["runs"], 4);
    let text = laboratory.say(&by_seeds).expect(0).out;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("on seeds 0, 1, which the comparison leaves out"),
        "{text}"
    );
    // No seed is used for both.
    let both = laboratory
        .say(&[&by_seeds[..], &["--seeds", "1..4"]].concat())
        .expect(2);
    assert!(both.err.contains("share 1"), "{}", both.err);
    let apart = laboratory
        .say(&[&by_seeds[..], &["--seeds", "3..4", "--json"]].concat())
        .expect(0)
        .json();
    assert_eq!(seeds(&apart), [(1, 1), (1, 1)]);
    laboratory.say(&["compare", "e.toml", "--tuning-seeds", "2"]).expect(2);
    let nothing = Laboratory::with(SMALL);
    let said = nothing.say(&["compare", "e.toml", "--best"]).expect(2);
    assert!(said.err.contains("nothing to choose from"), "{}", said.err);
}

/// Equal fits in all seeds show no uncertainty, and differences by rounding are no spread.
#[test]
fn equal_fits_in_all_seeds_have_no_interval() {
    let file = "question = \"?\"\nseeds = 3\n[data]\nsource = \"file\"\npath = \"p.csv\"\nobserved = [\"x\"]\n[model]\n\
                kind = \"gaussian\"\n[training]\noptimizer = \"em\"\n[[variant]]\nname = \"one\"\n[[variant]]\nname = \"two\"\n\
                model = { kind = \"gaussian_mixture\", components = 1 }\n";
    let laboratory = Laboratory::with(file).and("p.csv", "x\n1.1\n2.3\n3.7\n9.9\n");
    let said = laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    assert!(said.out.contains("same in all seeds"), "{}", said.out);
    assert!(said.out.contains("this measures no uncertainty"), "{}", said.out);
    assert!(!said.out.contains('['), "an interval: {}", said.out);
    let json = summary(&laboratory);
    let scores = &json["variants"][0]["summary"]["train/log_likelihood"];
    assert_eq!(
        (&scores["mean_interval"], &scores["standard_deviation"]),
        (&Value::Null, &0.0.into())
    );
    assert_eq!(json["differences"][0]["decision"]["verdict"], "same");
}

#[test]
fn every_pair_has_a_verdict_in_words() {
    let laboratory = Laboratory::with(&SMALL.replace("seeds = 2", "seeds = 5"));
    let said = laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    for part in [
        "verdicts at 95 %",
        "  three: undecided: ",
        "of 5 seeds agree",
        "cannot decide at 5 %",
        "6 seeds could",
    ] {
        let text = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(part.trim()), "no {part:?} in {}", said.out);
    }
    for part in ["single runs", "one further run", "Student t"] {
        assert!(said.out.contains(part), "no {part:?} in {}", said.out);
    }
    let found = &summary(&laboratory)["differences"][0];
    assert_eq!(found["decision"]["verdict"], "undecided");
    assert_eq!(found["decision"]["can_decide"], false);
    assert!(found["decision"]["adjusted_p_value"].as_f64().expect("a number") >= 0.0625);
    assert!(
        found["more_seeds"]["seeds"].as_u64().is_some_and(|seeds| seeds > 0),
        "{found}"
    );
    assert_eq!(found["interval"]["method"], "student_t");
    let long: Vec<&str> = said.out.lines().filter(|line| line.chars().count() > 80).collect();
    assert_eq!(long, [""; 0], "lines beyond 80 columns");
}

#[test]
fn the_table_of_runs_has_the_keys_that_differ_and_the_time() {
    let laboratory = Laboratory::with(&grid());
    laboratory.say(&["run", "e.toml", "--quiet", "--seeds", "1"]).expect(0);
    let csv = String::from_utf8(laboratory.files("results").remove("e/summary.csv").expect("a table")).expect("UTF-8");
    let mut lines = csv.lines();
    let head: Vec<&str> = lines.next().expect("a head").split(',').collect();
    assert_eq!(
        head[..7],
        [
            "variant",
            "seed",
            "status",
            "reason",
            "seconds",
            "model.components",
            "training.steps"
        ]
    );
    let settings = lines.filter(|line| line.contains(",done,")).map(|line| {
        let cells: Vec<String> = line.split(',').map(str::to_owned).collect();
        assert!(cells[4].parse::<f64>().is_ok_and(|seconds| seconds > 0.0), "{line}");
        cells[5..7].to_vec()
    });
    assert_eq!(
        settings.collect::<Vec<_>>(),
        [["2", "1"], ["2", "3"], ["3", "1"], ["3", "3"]]
    );
}

#[test]
fn run_and_compare_have_one_shape_of_json() {
    let laboratory = Laboratory::with(SMALL).and("f.toml", SMALL);
    let ran = laboratory
        .say(&["run", "e.toml", "f.toml", "--json", "--quiet"])
        .expect(0);
    let compared = laboratory.say(&["compare", "e.toml", "f.toml", "--json"]).expect(0);
    assert_eq!(ran.out, compared.out);
    assert_eq!(ran.json().as_array().map(Vec::len), Some(2));
    assert!(
        laboratory
            .say(&["compare", "e.toml", "--json"])
            .expect(0)
            .json()
            .is_object()
    );
}

#[test]
fn a_folder_of_experiments_is_listed() {
    let laboratory = Laboratory::with(SMALL).and("f.toml", SMALL);
    laboratory.say(&["run", "e.toml", "f.toml", "--quiet"]).expect(0);
    let said = laboratory.say(&["compare", "results"]).expect(0);
    for part in ["results/e", "results/f", "4/4", "How many clusters?"] {
        assert!(said.out.contains(part), "no {part:?} in {}", said.out);
    }
    let json = laboratory.say(&["compare", "results", "--json"]).expect(0).json();
    assert_eq!((&json[1]["folder"], &json[1]["done"]), (&"results/f".into(), &4.into()));
    // A folder has no file to change.
    let said = laboratory.say(&["compare", "results/e", "--seeds", "1"]).expect(2);
    assert!(said.err.contains("name the file"), "{}", said.err);
    // A summary of an older program is refused.
    let laboratory = laboratory.and("results/e/summary.json", "{\"experiment\": \"e\", \"variants\": []}");
    let said = laboratory.say(&["compare", "results/e"]).expect(1);
    assert!(said.err.contains("run the experiment again"), "{}", said.err);
}
