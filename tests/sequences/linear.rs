//! The linear-Gaussian state space through the rooms: the identities of the expected log-likelihood, what is fixed stays
//! fixed, the Nile, and bad input.

use crate::case::{Case, assert_unbiased, distance, norm, splits};
use candle_core::{DType, Device, Tensor};
use latent_lab::data::{Batch, DataConfig, Dataset};
use latent_lab::math::kalman::{Filtered, System};
use latent_lab::math::streams::Streams;
use latent_lab::model::{Guess, ModelConfig};
use latent_lab::spec::load_experiment;
use std::path::Path;

/// Sequences of two outputs and one input, some of them short, a fifth of the entries missing.
const DATA: &str = "source = 'lgssm'
train = 60
length = 17
transition_input = [[-1.0], [0.1]]
emission = [[1.0, 0.0], [0.3, 1.0]]
emission_noise = [[0.5, 0.1], [0.1, 0.4]]
missing = 0.2";

/// Forms of noise, fixed matrices, fixed entries.
const MODELS: [&str; 5] = [
    "kind = 'linear_gaussian_ssm'\nfirst_values = 'random'",
    "kind = 'linear_gaussian_ssm'\nstates = 1\ntransition_noise.form = 'diagonal'\nemission_noise.form = 'diagonal'",
    "kind = 'linear_gaussian_ssm'\nstates = 3\nfirst_values = 'random'\ninitial_covariance.form = 'spherical'\n\
     transition_noise.form = 'spherical'\nemission_noise.form = 'spherical'\ntransition_offset = {}",
    "kind = 'linear_gaussian_ssm'\ntransition.fixed = [[nan, 1.0], [0.0, nan]]\nemission.fixed = [[1.0, 0.0], [nan, nan]]\n\
     initial_covariance.fixed = [[1.0, 0.0], [0.0, 1.0]]",
    "kind = 'linear_gaussian_ssm'\ntransition_noise = { form = 'diagonal', fixed = [[0.25, 0.0], [0.0, nan]] }\n\
     emission_input.fixed = [[0.0], [0.0]]",
];

fn cases() -> Vec<Case> {
    MODELS.into_iter().map(|model| Case::new((model, DATA))).collect()
}

#[test]
fn fisher_holds_through_the_graph_and_the_gradient_is_the_slope() {
    for case in cases() {
        let marginal = &case.ascend("marginal_likelihood", "'exact'", 0)[1..];
        let expected = &case.ascend("expected_log_likelihood", "'exact'", 0)[1..];
        assert!(norm(marginal) > 1e-3, "{}: nothing to compare", case.name);
        assert!(distance(marginal, expected) < 1e-9 * norm(marginal), "{}", case.name);
        let batch = case.batch();
        let guesses = case.draws("'exact'", &case.theta, 0);
        for objective in ["marginal_likelihood", "expected_log_likelihood"] {
            // For guesses that stay as they are.
            let slopes = case.slopes(1e-5, &|theta| {
                let joint = case.model.joint(theta, &batch).expect("a joint");
                let values = match objective {
                    "marginal_likelihood" => joint.log_prob(),
                    _ => joint.log_joint(&guesses.latents).and_then(|v| Ok(v.squeeze(1)?)),
                };
                let mean = batch.mean(&values.expect("values")).expect("a mean");
                mean.to_scalar().expect("a number")
            });
            assert_eq!(slopes.len(), marginal.len());
            let scale = norm(marginal).max(1.0);
            let near = |(slope, gradient): (&f64, &f64)| (slope - gradient).abs() < 1e-6 * scale;
            assert!(slopes.iter().zip(marginal).all(near), "{}: {objective}", case.name);
        }
    }
}

#[test]
fn the_elbo_is_the_log_likelihood_with_the_exact_posterior_and_below_it_with_the_filter() {
    for case in cases() {
        let exact = case.ascend("marginal_likelihood", "'exact'", 0)[0];
        let touching = case.ascend("elbo", "'exact'", 0)[0];
        let below = case.ascend("elbo", "'filter'", 0)[0];
        let one_draw = case.ascend("elbo", "'sampled'\nsamples = 1", 0)[0];
        assert!((exact - touching).abs() < 1e-9 * exact.abs(), "{}", case.name);
        assert!(below < exact - 1e-3, "{}: {below} {exact}", case.name);
        // log p(o, x) − log p(x|o) is log p(o) at any x.
        assert!((exact - one_draw).abs() < 1e-9 * exact.abs(), "{}", case.name);
    }
}

#[test]
fn sampled_trajectories_are_unbiased_in_value_and_gradient() {
    const REPEATS: u64 = 400;
    for case in cases() {
        let exact = case.ascend("expected_log_likelihood", "'exact'", 0);
        let estimate = |index| case.ascend("expected_log_likelihood", "'sampled'\nsamples = 2", index);
        let estimates: Vec<Vec<f64>> = (0..REPEATS).map(estimate).collect();
        assert_unbiased(&estimates, &exact, 1e-9, case.name);
    }
}

#[test]
fn em_climbs_and_keeps_what_is_fixed() {
    for case in cases() {
        let sweeps = case.sweeps();
        let mut theta = case.theta.snapshot().expect("a copy");
        let mut before = f64::NEG_INFINITY;
        for sweep in 0..100 {
            let improvement = sweeps.improve(&theta, Guess::Exact, 1, None).expect("a sweep");
            let value = improvement.log_likelihood.expect("exact");
            assert!(
                value >= before - 1e-8 * value.abs(),
                "{}, sweep {sweep}: {before} then {value}",
                case.name
            );
            before = value;
            theta = improvement.theta;
        }
        let system = case
            .model
            .state_space(&theta)
            .expect("a system")
            .expect("a state space");
        match case.name {
            name if name.contains("transition.fixed") => {
                assert_eq!((system.transition[(0, 1)], system.transition[(1, 0)]), (1.0, 0.0));
                assert_eq!((system.emission[(0, 0)], system.emission[(0, 1)]), (1.0, 0.0));
                assert_ne!(system.emission[(1, 1)], 0.0);
            }
            name if name.contains("emission_input.fixed") => {
                assert_eq!(system.emission_input.amax(), 0.0);
                assert_eq!(system.transition_noise[(0, 0)], 0.25);
                assert_eq!(system.transition_noise[(0, 1)], 0.0);
            }
            _ => {}
        }
        // A system survives the way to θ and back.
        let again = case.model.natural(&theta).expect("matrices");
        let noise = again["transition_noise"]
            .flatten_all()
            .and_then(|t| t.to_vec1::<f64>())
            .expect("numbers");
        assert_eq!(noise, system.transition_noise.transpose().as_slice());
    }
}

#[test]
fn every_guess_of_em_is_bounded_by_the_likelihood() {
    for case in cases() {
        let sweeps = case.sweeps();
        for (kind, touches) in [("'exact'", true), ("'sampled'\nsamples = 3", true), ("'filter'", false)] {
            let sweep = case.improve(sweeps.as_ref(), &case.theta, kind, 1);
            let value = sweep.log_likelihood.expect("exact");
            let gap = value - sweep.lower_bound;
            assert!(gap > -1e-8 * value.abs(), "{}: {kind}: {gap}", case.name);
            assert_eq!(gap < 1e-8 * value.abs(), touches, "{}: {kind}: {gap}", case.name);
        }
    }
}

#[test]
fn batches_of_sequences_estimate_the_mean_over_steps() {
    let case = &cases()[0];
    let all = case.batch();
    let values = |batch: &Batch| {
        let joint = case.model.joint(&case.theta, batch).expect("a joint");
        joint.log_prob().and_then(|v| Ok(v.to_vec1::<f64>()?)).expect("numbers")
    };
    let whole = values(&all);
    let order = Tensor::new(&[2u32, 0], &Device::Cpu).expect("indices");
    let some = all.select(&order).expect("a batch");
    let part = values(&some);
    assert_eq!(some.len(), 2);
    assert!((part[0] - whole[2]).abs() < 1e-10 && (part[1] - whole[0]).abs() < 1e-10);
    assert!((values(&all.narrow(1, 1).expect("a batch"))[0] - whole[1]).abs() < 1e-10);
    // Per step: the sum of all sequences over the steps at which anything is observed.
    let tensor = Tensor::new(whole.as_slice(), &Device::Cpu).expect("values");
    let mean: f64 = all.mean(&tensor).and_then(|m| Ok(m.to_scalar()?)).expect("a mean");
    assert!((mean - whole.iter().sum::<f64>() / case.splits.train.total_weight()).abs() < 1e-12);
}

/// The local level model of Durbin & Koopman (2012): computed with their own formulas for m₁ = 0, P₁ = 10⁷.
#[test]
fn the_nile_has_the_variances_in_print() {
    let file = Path::new("experiments/latent_state/nile.toml");
    let loaded = load_experiment(file, &[]).expect("a good experiment");
    let spec = &loaded.variants[0].spec;
    let streams = Streams::new(0);
    let splits = spec
        .data
        .load(Path::new("experiments/latent_state"), &streams)
        .expect("a hundred years");
    assert_eq!(splits.train.total_weight(), 100.0);
    let model = spec.model.build(&splits.train).expect("a model");
    let mut theta = model
        .initial(&splits.train, &streams, 0, DType::F64, &Device::Cpu)
        .expect("first values");
    let sweeps = model
        .closed_form()
        .expect("a closed form")
        .sweeps(&splits.train)
        .expect("sweeps");
    for _ in 0..6000 {
        theta = sweeps.improve(&theta, Guess::Exact, 1, None).expect("a sweep").theta;
    }
    let system: System = model.state_space(&theta).expect("a system").expect("a state space");
    let sequences = splits.train.sequences().expect("sequences");
    let value = Filtered::new(&system, &sequences).expect("a filter").log_likelihood()[0];
    assert!((value + 641.58558).abs() < 1e-5, "{value}");
    assert!(
        (system.emission_noise[(0, 0)] - 15099.686).abs() < 0.01,
        "{}",
        system.emission_noise
    );
    assert!(
        (system.transition_noise[(0, 0)] - 1468.500).abs() < 0.01,
        "{}",
        system.transition_noise
    );
}

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
    let expect = |data: &str, rest: &str, text: &str| {
        let found = faults(csv, data, rest);
        assert!(found.contains(text), "expected {text:?} in {found}");
    };
    expect("", &model, "column `o` is missing");
    expect(
        "time = 't'",
        &format!("[model]\nkind = 'gaussian'\n{EM}"),
        "a model of sequences",
    );
    expect("time = 't'\ninput = ['u']", &model, "with them their inputs");
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
    expect("time = 't'", &with("first_values = 'given'"), "nothing says from where");
    let own = with("first_values = 'subspace'\nemission.fixed = [[1.0, 0.0]]");
    expect("time = 't'", &own, "chooses its own latent coordinates");
    let tempered = format!("{model}[posterior]\nkind = 'exact'\ntemperature = 2.0\n");
    expect("time = 't'", &tempered, "no temperature");
    let empty = faults("t,o\n1,\n2,\n", "time = 't'", &model);
    assert!(empty.contains("every value of this column is missing"), "{empty}");
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
        .expect("first values");
    let sweeps = model
        .closed_form()
        .expect("a closed form")
        .sweeps(&short)
        .expect("sweeps");
    let improvement = sweeps.improve(&theta, Guess::Exact, 1, None).expect("a sweep");
    let value = improvement.log_likelihood.expect("exact");
    assert!(value.is_finite());
    let again = sweeps
        .improve(&improvement.theta, Guess::Exact, 1, None)
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
