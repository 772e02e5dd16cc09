//! Extreme and invalid inputs: each is refused, fails with a reason, or runs; none panics.

use crate::laboratory::Laboratory;
use proptest::prelude::*;

const HEAD: &str = "question = \"?\"\nseeds = 1\n[evaluation.estimator]\nrepeats = 0\n";
const FILE: &str = "source = \"file\"\npath = \"p.csv\"\nobserved = [\"x\", \"y\"]";
const EM: &str = "optimizer = \"em\"\nsteps = 4";
const ADAM: &str = "optimizer = \"adam\"\nsteps = 3\nevaluate_every = 2";
const DENSITY: &str = "kind = \"gaussian_mixture\"\ncomponents = 2";

fn rows(row: impl Fn(u32) -> String) -> String {
    format!("x,y\n{}", (0..12).map(|i| row(i) + "\n").collect::<String>())
}

/// The exit code of a run, which is one of ours and comes with a reason.
#[track_caller]
fn ends(name: &str, data: &str, model: &str, training: &str, csv: &str) -> i32 {
    let text = format!("{HEAD}[data]\n{data}\n[model]\n{model}\n[training]\n{training}\n");
    let laboratory = Laboratory::with(&text).and("p.csv", csv);
    let said = laboratory.say(&["run", "e.toml", "--quiet"]);
    let code = said.code.unwrap_or_else(|| panic!("{name} was killed by a signal"));
    assert!(
        !said.err.contains("panicked") && !said.out.contains("internal error"),
        "{name}: {}{}",
        said.out,
        said.err
    );
    match code {
        0 => assert!(
            !said.out.contains("NaN") && !said.out.contains("inf"),
            "{name}: {}",
            said.out
        ),
        1 => assert!(
            said.out.contains("failed: e, seed 0: "),
            "{name}: {}{}",
            said.out,
            said.err
        ),
        _ => assert!(code == 2 && said.err.contains("e.toml:"), "{name}: {}", said.err),
    }
    code
}

/// A pixel may be dark in every image; a density of real numbers refuses such a column.
#[test]
fn a_constant_column_is_a_valid_pixel() {
    let binary = "kind = \"latent_gaussian\"\nlikelihood = \"bernoulli\"\nhidden = [4]";
    let guesses = "[posterior]\nkind = \"amortised\"\n[objective]\nkind = \"elbo\"";
    let training = format!("{ADAM}\n{guesses}");
    let split = format!("{FILE}\ntest_fraction = 0.3");
    for constant in [0, 1] {
        let csv = rows(|i| format!("{constant},{}", i % 2));
        assert_eq!(ends("binary", &split, binary, &training, &csv), 0);
        assert_eq!(ends("density", &split, DENSITY, EM, &csv), 2);
    }
}

#[test]
fn data_at_the_edges() {
    let (conditional, line) = (
        "kind = \"conditional_mixture\"\ncomponents = 2\nhidden = [4]",
        "kind = \"linear_gaussian\"",
    );
    let tables = [
        ("a line", rows(|i| format!("{i},{}", 2 * i))),
        ("two rows", "x,y\n1,2\n2,1\n".to_owned()),
        ("two distinct rows", rows(|i| format!("{},{}", i % 2, 3 * (i % 2)))),
        (
            "far away",
            rows(|i| format!("{},{}", 1e12 + f64::from(i), f64::from(i * 5 % 7))),
        ),
        ("tiny", rows(|i| format!("{}e-30,{}", i, i * 5 % 7))),
        ("tinier", rows(|i| format!("{}e-300,{}", i, i * 5 % 7))),
        ("large", rows(|i| format!("{}e30,{}", i, i * 5 % 7))),
        ("as large as can be", rows(|i| format!("{}e138,{}", i, i * 5 % 7))),
        (
            "one outlier",
            rows(|i| format!("{},{}", if i == 5 { 1e20 } else { f64::from(i) }, i * 5 % 7)),
        ),
    ];
    // All ways to fit a table are variants of one experiment: each is done, or failed with a reason of its own.
    let mut variants = String::new();
    for standardize in [false, true] {
        for (number, (model, given, training)) in [
            ("kind = \"gaussian\"", false, EM),
            (DENSITY, false, EM),
            (DENSITY, false, ADAM),
            (line, true, EM),
            (conditional, true, ADAM),
        ]
        .into_iter()
        .enumerate()
        {
            let columns = if given {
                "observed = [\"x\"], given = [\"y\"]"
            } else {
                "observed = [\"x\", \"y\"]"
            };
            variants.push_str(&format!(
                "[[variant]]\nname = \"{number} {standardize}\"\n\
                 data = {{ source = \"file\", path = \"p.csv\", {columns}, standardize = {standardize} }}\n\
                 model = {{ {} }}\ntraining = {{ {} }}\n",
                model.replace('\n', ", "),
                training.replace('\n', ", ")
            ));
        }
    }
    let mut done = 0;
    for (name, csv) in &tables {
        let laboratory = Laboratory::with(&format!("question = \"?\"\nseeds = 1\n{variants}")).and("p.csv", csv);
        let said = laboratory.say(&["run", "e.toml", "--quiet", "--json"]);
        assert!(
            matches!(said.code, Some(0 | 1)) && !said.err.contains("panicked"),
            "{name}: {}",
            said.err
        );
        for variant in said.json()["variants"].as_array().expect("variants") {
            let seed = &variant["seeds"][0];
            match seed["status"].as_str() {
                Some("done") => done += 1,
                Some("failed") => {
                    let reason = seed["reason"].as_str().expect("a reason");
                    assert!(
                        !reason.contains("internal error"),
                        "{name}, {}: {reason}",
                        variant["name"]
                    );
                }
                other => panic!("{name}, {}: {other:?}", variant["name"]),
            }
        }
    }
    assert!(done > 50, "only {done} of 90 ran");
}

/// Sources of sequences: generators, or a table `p.csv` with the columns t, o and u.
#[test]
fn sequences_at_the_edges() {
    const GENERATED: &str = "source = \"lgssm\"\ntrain = 300\ntest = 60";
    const TABLE: &str = "source = \"file\"\npath = \"p.csv\"\nobserved = [\"o\"]\ninput = [\"u\"]\ntime = \"t\"";
    let steps = |count: u32, o: &dyn Fn(u32) -> String| {
        let rows = (0..count).map(|i| format!("{i},{},{}\n", o(i), i % 3));
        format!("t,o,u\n{}", rows.collect::<String>())
    };
    let wave = |i: u32| f64::from(i * 5 % 7);
    let long = GENERATED.replace("300", "100_000");
    let with = |keys: &str| format!("{GENERATED}\n{keys}");
    let cases = [
        ("one step", TABLE.to_owned(), steps(1, &|_| "1".into()), false),
        ("two steps", TABLE.to_owned(), steps(2, &|i| i.to_string()), true),
        ("a constant", TABLE.to_owned(), steps(30, &|_| "3".into()), false),
        (
            "an infinity",
            TABLE.to_owned(),
            steps(30, &|i| if i == 4 { "inf".into() } else { i.to_string() }),
            false,
        ),
        (
            "one value",
            TABLE.to_owned(),
            steps(30, &|i| if i == 4 { "1".into() } else { String::new() }),
            false,
        ),
        (
            "few values",
            TABLE.to_owned(),
            steps(30, &|i| if i % 9 == 4 { wave(i).to_string() } else { String::new() }),
            true,
        ),
        (
            "explosion",
            TABLE.to_owned(),
            steps(100, &|i| 2f64.powi(i as i32).to_string()),
            true,
        ),
        (
            "huge",
            TABLE.to_owned(),
            steps(30, &|i| format!("{}e100", wave(i))),
            true,
        ),
        (
            "tiny",
            TABLE.to_owned(),
            steps(30, &|i| format!("{}e-100", wave(i))),
            true,
        ),
        ("sequences of one step", with("length = 1"), String::new(), true),
        (
            "unstable",
            with("transition = [[1.05, 0.0], [0.0, 0.9]]"),
            String::new(),
            true,
        ),
        (
            "very unstable",
            with("transition = [[2.0, 0.0], [0.0, 0.9]]"),
            String::new(),
            true,
        ),
        (
            "beyond f64",
            format!(
                "{}\ntransition = [[1.2, 0.0], [0.0, 0.9]]",
                GENERATED.replace("300", "3000")
            ),
            String::new(),
            false,
        ),
        (
            "inputs as large as can be",
            TABLE.to_owned(),
            steps(30, &|i| wave(i).to_string()).replace(",2\n", ",1e200\n"),
            false,
        ),
        (
            "hardly any noise",
            with("emission_noise = [[1e-20]]"),
            String::new(),
            true,
        ),
        ("nearly all missing", with("missing = 0.95"), String::new(), true),
        ("a hundred thousand steps", long, String::new(), true),
    ];
    for (name, data, csv, may_run) in cases {
        let ways = [
            EM.to_owned(),
            format!("{ADAM}\nprecision = \"f64\""),
            format!("{ADAM}\nlearning_rate = 10.0"),
        ];
        for training in &ways {
            let text =
                format!("{HEAD}[data]\n{data}\n[model]\nkind = \"linear_gaussian_ssm\"\n[training]\n{training}\n");
            let laboratory = Laboratory::with(&text).and("p.csv", &csv);
            let said = laboratory.say(&["run", "e.toml", "--quiet"]);
            let told = format!("{name}, {training}: {}{}", said.out, said.err);
            assert!(!told.contains("panicked") && !told.contains("internal error"), "{told}");
            match said.code {
                Some(0) => assert!(may_run, "{told}"),
                Some(1) => assert!(said.out.contains("failed: e, seed 0: "), "{told}"),
                Some(2) => assert!(said.err.contains("e.toml:"), "{told}"),
                _ => panic!("{told}"),
            }
            for (file, bytes) in laboratory.promised("results") {
                let text = String::from_utf8_lossy(&bytes);
                let broken = file.ends_with("metrics.jsonl")
                    && ["NaN", "null", ":inf", ":-inf"].iter().any(|word| text.contains(word));
                assert!(!broken, "{told}: {text}");
            }
        }
    }
}

/// The most likely trajectory of a single sequence leaves its first state no variance.
#[test]
fn a_noise_at_its_floor_is_told() {
    let text = format!(
        "{HEAD}[data]\nsource = \"lgssm\"\ntrain = 100\n[model]\nkind = \"linear_gaussian_ssm\"\n\
         initial_covariance.start = [[1.0, 0.0], [0.0, 1.0]]\ninitial_values = \"random\"\n[posterior]\n\
         kind = \"hard\"\n[training]\noptimizer = \"em\"\nsteps = 50\n"
    );
    let laboratory = Laboratory::with(&text);
    for verb in ["run", "compare"] {
        let said = laboratory.say(&[verb, "e.toml"]).expect(0);
        let line = "warning, 1/1 seeds: e: `initial_covariance` reached its floor";
        assert!(said.out.contains(line), "{verb}: {}", said.out);
    }
}

#[test]
fn settings_at_the_edges() {
    let csv = rows(|i| format!("{},{}", f64::from(i) * 0.5, i * 5 % 7));
    let of = |name: &str, model: &str, training: &str| ends(name, FILE, model, training, &csv);
    let generated = |name: &str, data: &str, model: &str, training: &str| ends(name, data, model, training, "");
    let many = "kind = \"gaussian_mixture\"\ncomponents = 40";
    let network = "kind = \"conditional_mixture\"\ncomponents = 2\nhidden = [4]";
    let runs = [
        of("more components than rows, em", many, EM),
        of("more components than rows, adam", many, ADAM),
        of(
            "batches beyond the rows",
            DENSITY,
            &format!("{ADAM}\nbatch_size = 1_000_000"),
        ),
        of("no sweep", DENSITY, "optimizer = \"em\"\nsteps = 0"),
        of(
            "no sweep of several starts",
            DENSITY,
            "optimizer = \"em\"\nsteps = 0\nstarts = 3",
        ),
        of(
            "no evaluation in between, em",
            DENSITY,
            &format!("{EM}\nevaluate_every = 1000"),
        ),
        of(
            "no evaluation in between, adam",
            DENSITY,
            "optimizer = \"adam\"\nsteps = 3\nevaluate_every = 1000",
        ),
        of(
            "logits without bounds",
            &format!("{DENSITY}\nlogits = [1e308, -1e308]\nlogit_scale = 1e6"),
            EM,
        ),
        of(
            "means far from the data",
            &format!("{DENSITY}\nfixed_means = [[1e6, 0], [0, -1e100]]"),
            EM,
        ),
        of("a wide deviation", &format!("{DENSITY}\nfixed_deviation = 1e100"), EM),
        of(
            "a warm-up of all steps",
            DENSITY,
            &format!("{ADAM}\nwarm_up_steps = 3\nlearning_rate_schedule = \"cosine\""),
        ),
        generated(
            "one demonstration",
            "source = \"tree\"\ntrain = 1\nvalidation_fraction = 0.5",
            network,
            ADAM,
        ),
        generated("two rows", "source = \"ring\"\ntrain = 2\ntest = 1", DENSITY, ADAM),
        generated(
            "a grid of two",
            "source = \"mixture_of_twenty\"\npopulation = true\ntrain = 2",
            DENSITY,
            EM,
        ),
    ];
    assert_eq!(runs, [0; 14]);
    of(
        "a narrow deviation, em",
        &format!("{DENSITY}\nfixed_deviation = 1e-300"),
        EM,
    );
    assert_eq!(
        of(
            "a narrow deviation, adam",
            &format!("{DENSITY}\nfixed_deviation = 1e-300"),
            ADAM
        ),
        1
    );
    of(
        "steps as large as can be",
        DENSITY,
        &format!("{ADAM}\nlearning_rate = 100\ngradient_clip = 1e300"),
    );
}

#[test]
fn rows_that_do_not_count_may_leave_a_part_empty() {
    let csv = "x,y,w\n1,2,1\n2,3,1\n3,1,0\n4,4,0\n5,2,0\n6,0,0\n";
    let data = format!("{FILE}\nweight = \"w\"\ntest_fraction = 0.3");
    // Whether a part is empty depends on the seed; a run either works or reports it.
    for seed in 0..6 {
        let text =
            format!("question = \"?\"\nseeds = [{seed}]\n[data]\n{data}\n[model]\n{DENSITY}\n[training]\n{EM}\n");
        let said = Laboratory::with(&text)
            .and("p.csv", csv)
            .say(&["run", "e.toml", "--quiet"]);
        let reasons = ["weight 0", "constant"];
        let explained = reasons.iter().any(|reason| said.out.contains(reason));
        assert!(
            said.code == Some(0) || (said.code == Some(1) && explained),
            "{}{}",
            said.out,
            said.err
        );
    }
}

#[test]
fn tables_as_other_programs_write_them() {
    let plain = rows(|i| format!("{},{}", f64::from(i) * 0.5, i * 5 % 7));
    let quoted = plain.replace("x,y", "\"x\",\"y\"").replace('\n', "\r\n");
    let spaced = plain.replace(',', " , ").replace("\n5", "\n+5").replace("0.5", ".5");
    let fit = |csv: &str| {
        let text = format!("{HEAD}[data]\n{FILE}\n[model]\n{DENSITY}\n[training]\n{EM}\n");
        let laboratory = Laboratory::with(&text).and("p.csv", csv);
        laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
        laboratory.promised("results")
    };
    let expected = fit(&plain);
    assert_eq!(expected.len(), 3);
    for csv in [
        format!("\u{feff}{quoted}"),
        spaced,
        plain.replace("x,y\n", "y,x\n").replace("x,y", ""),
    ] {
        assert_eq!(fit(&csv).len(), 3);
    }
    assert!(fit(&format!("\u{feff}{quoted}")) == expected);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// Any bytes as a table, read or refused.
    #[test]
    fn any_table(pieces in prop::collection::vec(prop_oneof![
        Just("x,y\n".to_owned()), Just("1,2\n".to_owned()), Just("3,4\r\n".to_owned()), Just("\"".to_owned()),
        Just(",".to_owned()), Just("\n".to_owned()), Just("\u{feff}".to_owned()), Just("nan,1e400\n".to_owned()),
        "[-+0-9.e]{1,6}", any::<String>(),
    ], 0..10), weighted in any::<bool>(), fraction in 0.0..1.0_f64) {
        let weight = if weighted { "weight = \"y\"\nobserved = [\"x\"]" } else { "observed = [\"x\", \"y\"]" };
        let text = format!(
            "{HEAD}[data]\nsource = \"file\"\npath = \"p.csv\"\n{weight}\ntest_fraction = {fraction:.2}\n\
             validation_fraction = {fraction:.2}\n[model]\nkind = \"gaussian\"\n[training]\n{EM}\n"
        );
        let laboratory = Laboratory::with(&text).and("p.csv", pieces.concat());
        match latent_lab::spec::load_experiment(&laboratory.path("e.toml"), &[]) {
            Err(faults) => assert!(!faults.is_empty()),
            Ok(loaded) => {
                let streams = latent_lab::math::streams::Streams::new(0);
                let splits = loaded.variants[0].spec.data.load(&laboratory.path(""), &streams);
                prop_assert!(splits.map_or_else(|fault| fault.key == "weight", |splits| splits.train.len() >= 2));
            }
        }
    }
}

/// A value that some key may not expect.
fn value() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "0",
        "1",
        "2",
        "-1",
        "0.0",
        "1e308",
        "-1e308",
        "1e-308",
        "nan",
        "inf",
        "9223372036854775807",
        "true",
        "\"\"",
        "\"x\"",
        "[]",
        "[1]",
        "[[1], [1, 2]]",
        "{}",
        "{ from = 1, to = 2, steps = 0 }",
        "{ patience = 1 }",
        "\"em\"",
        "\"adam\"",
        "\"tree\"",
        "\"sampled\"",
        "\"given_x\"",
        "\"marginal\"",
        "\"mean\"",
        "\"cosine\"",
        "\"tied\"",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// Any values under any keys, checked without a panic and refused with a reason or not at all.
    #[test]
    fn any_settings(
        source in prop::sample::select(vec!["ring", "tree", "mixture_of_twenty", "inverse_sinusoid"]),
        model in prop::sample::select(vec!["gaussian", "linear_gaussian", "gaussian_mixture", "conditional_mixture"]),
        overrides in prop::collection::vec((prop::sample::select(vec![
            "seeds", "name", "data.train", "data.test", "data.validation_fraction", "data.population", "model.components",
            "model.covariance", "model.prior", "model.likelihood", "model.hidden", "model.logits", "model.logit_scale",
            "model.fixed_means", "model.fixed_deviation", "model.deviation_floor", "posterior.kind", "posterior.samples",
            "posterior.temperature", "posterior.refresh_every", "objective.kind", "objective.beta", "training.optimizer",
            "training.steps", "training.starts", "training.tolerance", "training.batch_size", "training.learning_rate",
            "training.warm_up_steps", "training.learning_rate_schedule", "training.early_stopping", "training.averaging",
            "evaluation.metrics", "evaluation.rollout", "evaluation.rollout.environment", "evaluation.rollout.episodes",
            "evaluation.rollout.action", "evaluation.rollout.latent", "evaluation.rollouts", "evaluation.bounds", "evaluation.bounds.samples",
            "evaluation.forecast.warm_up", "evaluation.estimator.repeats", "evaluation.horizon",
        ]), value()), 0..4),
    ) {
        let text = format!("{HEAD}[data]\nsource = {source:?}\n[model]\nkind = {model:?}\n[training]\noptimizer = \"adam\"\n");
        let laboratory = Laboratory::with(&text);
        let overrides: Vec<String> = overrides.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        match latent_lab::spec::load_experiment(&laboratory.path("e.toml"), &overrides) {
            Err(faults) => prop_assert!(!faults.is_empty() && faults.render(false).contains("expected")),
            Ok(loaded) => prop_assert!(!loaded.variants.is_empty()),
        }
    }
}
