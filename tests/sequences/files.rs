//! Sequences from files: faults of tables and of models that do not fit them; tables and arrays of the same sequences.

use crate::case::splits;
use candle_core::{DType, Device, Tensor};
use latent_lab::data::{DataConfig, Dataset};
use latent_lab::math::streams::Streams;
use latent_lab::model::{EStep, ModelConfig};
use latent_lab::spec::load_experiment;
/// The faults of an experiment on `csv`.
fn faults(csv: &str, data: &str, rest: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("rows.csv"), csv).expect("a file");
    let file = folder.path().join("question.toml");
    let text = format!(
        "question = 'Which faults?'\nseeds = 1\n[data]\nsource = 'file'\npath = 'rows.csv'\nobserved = ['o']\n{data}\n{rest}\n"
    );
    std::fs::write(&file, text).expect("a file");
    match load_experiment(&file, &[]) {
        Ok(_) => String::new(),
        Err(diagnostics) => diagnostics.render(false),
    }
}

const EM: &str = "[training]\noptimizer = 'em'\n";

#[test]
fn faults_of_sequences_are_found_before_anything_runs() {
    let csv = "t,o,u\n1,1.0,0\n2,,0\n3,0.5,1\n5,0.7,0\n";
    let model = format!("[model]\nkind = 'linear_gaussian_ssm'\n{EM}");
    assert_eq!(faults(csv, "time = 't'", &model), "");
    // Without a column of time all rows are one sequence, in the file's order.
    assert_eq!(faults(csv, "", &model), "");
    let expect = |data: &str, rest: &str, text: &str| {
        let found = faults(csv, data, rest);
        assert!(found.contains(text), "expected {text:?} in {found}");
    };
    expect(
        "time = 't'",
        &format!("[model]\nkind = 'gaussian'\n{EM}"),
        "a model of sequences",
    );
    expect("time = 't'\ninput = ['u']", &model, "their inputs are missing");
    expect("time = 't'\ngiven = ['u']", &model, "`given` is for independent rows");
    let with = |keys: &str| format!("[model]\nkind = 'linear_gaussian_ssm'\n{keys}\n{EM}");
    expect("time = 't'", &with("transition.fixed = [[1.0]]"), "2 rows of 2");
    expect(
        "time = 't'",
        &with("emission_noise.fixed = [[-1.0]]"),
        "not positive definite",
    );
    let part = with("transition_noise.fixed = [[1.0, 0.0], [0.0, nan]]");
    expect("time = 't'", &part, "only some of its entries are fixed");
    expect("time = 't'", &with("initial_values = 'given'"), "has no initial value");
    let own = with("initial_values = 'subspace'\nemission.fixed = [[1.0, 0.0]]");
    expect("time = 't'", &own, "chooses its own latent coordinates");
    // Settings that cannot be met.
    let twice = with("transition = { fixed = [[0.9, nan], [0.0, 0.5]], start = [[0.1, 0.0], [0.0, 0.5]] }");
    expect("time = 't'", &twice, "fixed at 0.9 would start at 0.1");
    let singular = with("transition_noise.start = [[1.0, 1.0], [1.0, 1.0]]");
    expect("time = 't'", &singular, "must start positive definite");
    for (keys, row, name) in [
        ("transition_noise.fixed = [[0.0, 0.0], [0.0, 0.0]]", 1, "transition"),
        ("transition_noise.fixed = [[1.0, 1.0], [1.0, 1.0]]", 1, "transition"),
        (
            "transition_noise = { form = 'diagonal', fixed = [[nan, 0.0], [0.0, 0.0]] }",
            2,
            "transition",
        ),
        ("initial_covariance.fixed = [[1.0, 0.0], [0.0, 0.0]]", 2, "initial_mean"),
    ] {
        expect(
            "time = 't'",
            &with(keys),
            &format!("row {row} (from 1) of `{name}` is learnt"),
        );
    }
    let noiseless = with("emission_noise = { form = 'diagonal', fixed = [[0.0]] }");
    expect("time = 't'", &noiseless, "not positive definite");
    let everywhere = "states = 1\ninitial_values = 'given'\ninitial_mean.start = [0.0]\ninitial_covariance.start = [[1.0]]\n\
                      transition.start = [[0.9]]\ntransition_noise.start = [[1.0]]\nemission.start = [[1.0]]\n\
                      emission_offset.start = [0.0]\nemission_noise.start = [[1.0]]";
    assert_eq!(faults(csv, "time = 't'", &with(everywhere)), "");
    let starts = |posterior: &str| {
        let rest = with(everywhere);
        format!("{rest}starts = 3\n[posterior]\nkind = '{posterior}'\n")
    };
    expect(
        "time = 't'",
        &starts("exact"),
        "all starts have the same initial values",
    );
    assert_eq!(faults(csv, "time = 't'", &starts("sampled")), "");
    let test = "time = 't'\ntest_fraction = 0.5";
    for keys in ["warm_up = 3", "warm_up = 5\nmetrics = ['test/one_step_error']"] {
        expect(
            test,
            &format!("{model}[evaluation]\n{keys}\n"),
            "nothing is left of test sequences of at most",
        );
    }
    let tempered = format!("{model}[posterior]\nkind = 'exact'\ntemperature = 2.0\n");
    expect("time = 't'", &tempered, "no temperature");
    let of = |csv: &str, data: &str, text: &str| {
        let found = faults(csv, data, &model);
        assert!(found.contains(text), "expected {text:?} in {found}");
    };
    of("t,o\n1,\n2,\n", "time = 't'", "every value of column `o` of");
    of(
        "t,o\n1,3\n\n1,4\n",
        "time = 't'",
        "rows.csv: line 4 is not later than the row before: at the same time",
    );
    of(
        "e,o\n1,3\n2,4\n1,5\n",
        "episode = 'e'",
        "rows.csv: line 4: episode 1 begins a second time",
    );
    of("o,u\n1,1e200\n2,0\n", "input = ['u']", "whose square is beyond f64");
    of(
        "o,u\n1,\n2,0\n",
        "input = ['u']",
        "a removed row would shift the steps after it",
    );
    // One sequence of several is enough to learn from.
    assert_eq!(
        faults(
            "e,o\n1,3\n1,2\n2,4\n2,1\n",
            "episode = 'e'\ntest_fraction = 0.5",
            &model
        ),
        ""
    );
}

#[test]
fn a_constant_column_is_an_error_and_sequences_of_one_step_are_not() {
    let constant = splits("source = 'lgssm'\ntrain = 20\nemission_noise = [[1e-300]]\nemission = [[0.0, 0.0]]");
    let config: ModelConfig = toml::from_str("kind = 'linear_gaussian_ssm'").expect("a model");
    let mut flat = constant.train.clone();
    flat.observed.values_mut().fill(3.0);
    let error = config.build(&flat).expect_err("a fault").to_string();
    assert!(error.contains("column 1 (from 1) is constant"), "{error}");
    let short = splits("source = 'lgssm'\ntrain = 12\nlength = 1").train;
    let model = config.build(&short).expect("a model");
    let theta = model
        .initial(&short, &Streams::new(0), 0, DType::F64, &Device::Cpu)
        .expect("initial values");
    let sweeps = model
        .closed_form()
        .expect("a closed form")
        .sweeps(&short)
        .expect("sweeps");
    let improvement = sweeps.improve(&theta, EStep::Exact, 1, None).expect("a sweep");
    let value = improvement.log_likelihood.expect("exact");
    assert!(value.is_finite());
    let again = sweeps
        .improve(&improvement.theta, EStep::Exact, 1, None)
        .expect("a sweep");
    assert!(again.log_likelihood.expect("exact") >= value - 1e-9);
}

/// The same three sequences, with a gap in time and missing entries, as CSV and as NPZ.
#[test]
fn arrays_of_numpy_and_a_table_are_the_same_sequences() {
    let nan = f64::NAN;
    let observed = [
        [1.0, 2.0],
        [nan, 3.0],
        [4.0, nan],
        [5.0, 6.0],
        [nan, nan],
        [7.0, 8.5],
        [9.0, 1.0],
    ];
    let (time, episode) = ([0.0, 1.0, 3.0, 0.0, 1.0, 2.0, 5.0], [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 2.0]);
    let input = [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5];
    let folder = tempfile::tempdir().expect("a folder");
    let mut csv = String::from("a,b,u,t,e\n");
    for i in 0..7 {
        let cell = |value: f64| {
            if value.is_nan() {
                String::new()
            } else {
                value.to_string()
            }
        };
        let [a, b] = observed[i].map(cell);
        csv.push_str(&format!("{a},{b},{},{},{}\n", input[i], time[i], episode[i]));
    }
    std::fs::write(folder.path().join("p.csv"), csv).expect("a file");
    let tensor = |values: &[f64], columns: usize| {
        let shape = if columns == 1 { vec![7] } else { vec![7, columns] };
        Tensor::from_slice(values, shape, &Device::Cpu).expect("an array")
    };
    let column = |values: &[f64]| tensor(values, 1).reshape((7, 1)).expect("a column");
    let arrays = [
        ("o", tensor(observed.as_flattened(), 2)),
        ("u", column(&input)),
        ("t", tensor(&time, 1)),
        ("e", tensor(&episode, 1)),
    ];
    Tensor::write_npz(&arrays, folder.path().join("p.npz")).expect("an archive");
    let read = |path: &str, observed: &str, keys: &str| {
        let text = format!("source = 'file'\npath = '{path}'\nobserved = {observed}\nepisode = 'e'\n{keys}");
        let data: DataConfig = toml::from_str(&text).expect("data");
        data.load(folder.path(), &Streams::new(0)).expect("rows").train
    };
    // A clock fills gaps with missing steps, which have no inputs: one or the other.
    for (keys, lengths, missing) in [("time = 't'", [4, 3, 1], 6), ("input = ['u']", [3, 3, 1], 4)] {
        let (table, archive) = (read("p.csv", "['a', 'b']", keys), read("p.npz", "['o']", keys));
        assert_eq!(archive.lengths.as_deref(), Some(&lengths[..]), "{keys}");
        assert_eq!(archive.lengths, table.lengths, "{keys}");
        assert_eq!(archive.given, table.given, "{keys}");
        let bits = |data: &Dataset| data.observed.values().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&archive), bits(&table), "{keys}");
        let found = archive.observed.values().iter().filter(|v| v.is_nan()).count();
        assert_eq!(found, missing, "{keys}");
    }
}

/// Sequences of up to four steps as arrays `[N, T, d]` and as a table of episodes.
#[test]
fn arrays_of_sequences_and_a_table_of_episodes_are_the_same() {
    let nan = f64::NAN;
    // [3, 4, 2]: the second sequence has two steps, the third one ends in a step without observation.
    let observed = [
        [[1.0, 2.0], [nan, 3.0], [4.0, nan], [5.0, 6.0]],
        [[7.0, 8.5], [9.0, 1.0], [nan, nan], [nan, nan]],
        [[2.0, 2.5], [nan, nan], [1.0, 0.5], [nan, nan]],
    ];
    let input = [[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, nan, nan], [0.7, 0.8, 0.9, 1.0]];
    let lengths = [4, 2, 4];
    let folder = tempfile::tempdir().expect("a folder");
    let mut csv = String::from("e,a,b,u\n");
    for (e, length) in lengths.into_iter().enumerate() {
        for t in 0..length {
            let cell = |value: f64| {
                if value.is_nan() {
                    String::new()
                } else {
                    value.to_string()
                }
            };
            let [a, b] = observed[e][t].map(cell);
            csv.push_str(&format!("{e},{a},{b},{}\n", input[e][t]));
        }
    }
    std::fs::write(folder.path().join("p.csv"), csv).expect("a file");
    let array = |values: &[f64], shape: &[usize]| Tensor::from_slice(values, shape, &Device::Cpu).expect("an array");
    let arrays = [
        ("o", array(observed.as_flattened().as_flattened(), &[3, 4, 2])),
        ("u", array(input.as_flattened(), &[3, 4, 1])),
        ("flat", array(input.as_flattened(), &[3, 4])),
        ("e", array(&[0.0, 1.0, 2.0], &[3])),
    ];
    Tensor::write_npz(&arrays, folder.path().join("p.npz")).expect("an archive");
    let read = |keys: &str| {
        let data: DataConfig = toml::from_str(&format!("source = 'file'\n{keys}")).expect("data");
        data.load(folder.path(), &Streams::new(0))
    };
    let table = read("path = 'p.csv'\nobserved = ['a', 'b']\ninput = ['u']\nepisode = 'e'")
        .expect("rows")
        .train;
    let cube = read("path = 'p.npz'\nobserved = ['o']\ninput = ['u']")
        .expect("rows")
        .train;
    assert_eq!(cube.lengths.as_deref(), Some(&lengths[..]));
    assert_eq!((&cube.lengths, &cube.given), (&table.lengths, &table.given));
    let bits = |data: &Dataset| data.observed.values().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&cube), bits(&table));
    // Without inputs, the observed values alone determine where sequences end.
    let alone = read("path = 'p.npz'\nobserved = ['o']").expect("rows").train;
    assert_eq!(alone.lengths.as_deref(), Some(&[4, 2, 3][..]));
    for (keys, text) in [
        ("input = ['flat']", "`flat` has 3 rows, `o` has 3 sequences of 4 steps"),
        ("episode = 'e'", "number their own steps"),
    ] {
        let fault = read(&format!("path = 'p.npz'\nobserved = ['o']\n{keys}")).expect_err("a fault");
        assert!(fault.to_string().contains(text), "{fault}");
    }
}
