//! The linear-Gaussian state space in all modules: the identities of the expected log-likelihood, fixed entries, the
//! Nile, an autoregression, data far from zero.

use crate::case::{Case, assert_unbiased, distance, norm, splits};
use candle_core::{DType, Device, Tensor};
use latent_lab::data::{Batch, DataConfig, Dataset, Splits};
use latent_lab::math::kalman::{Filtered, System};
use latent_lab::math::streams::Streams;
use latent_lab::model::{EStep, ModelConfig};
use latent_lab::spec::load_experiment;
use latent_lab::train::evaluation::mean_log_likelihood;
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
    "kind = 'linear_gaussian_ssm'\ninitial_values = 'random'",
    "kind = 'linear_gaussian_ssm'\nstates = 1\ntransition_noise.form = 'diagonal'\nemission_noise.form = 'diagonal'",
    "kind = 'linear_gaussian_ssm'\nstates = 3\ninitial_values = 'random'\ninitial_covariance.form = 'spherical'\n\
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
fn fishers_identity_holds_and_gradients_match_finite_differences() {
    for case in cases() {
        let marginal = &case.ascend("marginal_likelihood", "'exact'", 0)[1..];
        let expected = &case.ascend("expected_log_likelihood", "'exact'", 0)[1..];
        assert!(norm(marginal) > 1e-3, "{}: nothing to compare", case.name);
        assert!(distance(marginal, expected) < 1e-9 * norm(marginal), "{}", case.name);
        let batch = case.batch();
        let guesses = case.draws("'exact'", &case.theta, 0);
        for objective in ["marginal_likelihood", "expected_log_likelihood"] {
            // With the posteriors held constant.
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
fn em_raises_the_likelihood_and_keeps_fixed_entries() {
    for case in cases() {
        let sweeps = case.sweeps();
        let mut theta = case.theta.snapshot().expect("a copy");
        let mut before = f64::NEG_INFINITY;
        for sweep in 0..100 {
            let improvement = sweeps.improve(&theta, EStep::Exact, 1, None).expect("a sweep");
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
        // Conversion to θ and back gives the same system.
        let again = case.model.natural(&theta).expect("matrices");
        let noise = again["transition_noise"]
            .flatten_all()
            .and_then(|t| t.to_vec1::<f64>())
            .expect("numbers");
        assert_eq!(noise, system.transition_noise.transpose().as_slice());
    }
}

#[test]
fn the_bound_of_every_posterior_of_em_is_at_most_the_likelihood() {
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
fn the_nile_has_the_published_variances() {
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
        .expect("initial values");
    let sweeps = model
        .closed_form()
        .expect("a closed form")
        .sweeps(&splits.train)
        .expect("sweeps");
    for _ in 0..6000 {
        theta = sweeps.improve(&theta, EStep::Exact, 1, None).expect("a sweep").theta;
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

/// In companion form an autoregression of second order has noise in its first latent alone: x_t = [s_t; s_{t−1}].
#[test]
fn an_autoregression_in_companion_form_is_learnt() {
    let truth = "source = 'lgssm'\ntrain = 2000\nlength = 400\ntransition = [[1.5, -0.8], [1.0, 0.0]]\n\
                 transition_input = [[], []]\ntransition_noise = [[0.25, 0.0], [0.0, 0.0]]\nemission_noise = [[0.1]]";
    let keys = "kind = 'linear_gaussian_ssm'\ntransition.fixed = [[nan, nan], [1.0, 0.0]]\nemission.fixed = [[1.0, 0.0]]\n\
                transition_noise = { form = 'diagonal', fixed = [[nan, 0.0], [0.0, 0.0]] }";
    let mut case = Case::new((keys, truth));
    let sweeps = case.sweeps();
    let mut theta = case.theta.snapshot().expect("a copy");
    let mut before = f64::NEG_INFINITY;
    for sweep in 0..400 {
        let improvement = sweeps.improve(&theta, EStep::Exact, 1, None).expect("a sweep");
        let value = improvement.log_likelihood.expect("exact");
        assert!(
            value >= before - 1e-8 * value.abs(),
            "sweep {sweep}: {before} then {value}"
        );
        (before, theta) = (value, improvement.theta);
    }
    drop(sweeps);
    case.theta = theta;
    let system = case
        .model
        .state_space(&case.theta)
        .expect("a system")
        .expect("a state space");
    let (a, q) = (&system.transition, &system.transition_noise);
    assert_eq!((a[(1, 0)], a[(1, 1)], q[(0, 1)], q[(1, 1)]), (1.0, 0.0, 0.0, 0.0));
    // Standard errors of 2,000 steps by the information in the spectral density q/|1 − a₁e⁻ⁱʷ − a₂e⁻²ⁱʷ|² + r (Whittle
    // 1953); the margins are five of them.
    let learnt = [a[(0, 0)], a[(0, 1)], q[(0, 0)], system.emission_noise[(0, 0)]];
    for (value, (truth, error)) in learnt
        .iter()
        .zip([(1.5, 0.017), (-0.8, 0.0163), (0.25, 0.0152), (0.1, 0.0069)])
    {
        assert!((value - truth).abs() < 5.0 * error, "{learnt:?}: {truth} ± {error}");
    }
    // The gradients of the likelihood are right although one direction has no noise.
    let (_, transition) = case
        .theta
        .iter()
        .find(|(name, _)| *name == "transition")
        .expect("learnt");
    transition
        .set(&(transition.as_tensor() - 0.1).expect("numbers"))
        .expect("the same shape");
    let gradient = &case.ascend("marginal_likelihood", "'exact'", 0)[1..];
    let batch = case.batch();
    let slopes = case.slopes(1e-5, &|theta| {
        let joint = case.model.joint(theta, &batch).expect("a joint");
        let mean = joint.log_prob().and_then(|values| batch.mean(&values)).expect("a mean");
        mean.to_scalar().expect("a number")
    });
    assert!(
        distance(&slopes, gradient) < 1e-6 * norm(gradient),
        "{slopes:?} {gradient:?}"
    );
}

/// Data a million standard deviations from 0 are learnt as well as data around 0.
#[test]
fn data_far_from_zero_are_learnt_as_well_as_near_it() {
    let fit = |offset: f64| {
        let mut train = splits(DATA).train;
        train.observed.values_mut().iter_mut().for_each(|v| *v += offset);
        let config: ModelConfig = toml::from_str("kind = 'linear_gaussian_ssm'").expect("a model");
        let model = config.build(&train).expect("a model");
        let theta = model
            .initial(&train, &Streams::new(5), 0, DType::F64, &Device::Cpu)
            .expect("initial values");
        let sweeps = model
            .closed_form()
            .expect("a closed form")
            .sweeps(&train)
            .expect("sweeps");
        let mut last = sweeps.improve(&theta, EStep::Exact, 1, None).expect("a sweep");
        for _ in 0..20 {
            last = sweeps.improve(&last.theta, EStep::Exact, 1, None).expect("a sweep");
            assert!(last.events.is_empty(), "{:?}", last.events);
        }
        last.log_likelihood.expect("exact")
    };
    let (near, far) = (fit(0.0), fit(1e6));
    assert!((near - far).abs() < 1e-6 * near.abs(), "{near} {far}");
}

/// The last steps of a single sequence follow those before them: `log p(all) − log p(before)`.
#[test]
fn the_end_of_a_sequence_is_scored_given_its_beginning() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = splits("source = 'lgssm'\ntrain = 50\ntransition = [[1.0, 0.1], [0.0, 1.0]]\nmissing = 0.1").train;
    let mut csv = String::from("o,u\n");
    for t in 0..50 {
        let o = rows.observed.row(t)[0];
        let cell = if o.is_nan() { String::new() } else { o.to_string() };
        csv.push_str(&format!("{cell},{}\n", rows.given.as_ref().expect("inputs").row(t)[0]));
    }
    std::fs::write(folder.path().join("p.csv"), csv).expect("a file");
    let load = |keys: &str| {
        let text = format!("source = 'file'\npath = 'p.csv'\nobserved = ['o']\ninput = ['u']\n{keys}");
        let data: DataConfig = toml::from_str(&text).expect("data");
        data.load(folder.path(), &Streams::new(0)).expect("rows")
    };
    for standardize in [false, true] {
        let keys = format!("test_fraction = 0.2\nvalidation_fraction = 0.25\nstandardize = {standardize}");
        let Splits {
            train,
            validation,
            test,
            standardization,
            ..
        } = load(&keys);
        let (validation, test) = (validation.expect("validation"), test.expect("a test"));
        assert_eq!(
            [&train, &validation, &test].map(|part| part.observed.rows()),
            [30, 10, 10]
        );
        let mut whole = load("").train;
        standardization.apply(&mut whole);
        let config: ModelConfig = toml::from_str("kind = 'linear_gaussian_ssm'").expect("a model");
        let model = config.build(&train).expect("a model");
        let theta = model
            .initial(&train, &Streams::new(0), 0, DType::F64, &Device::Cpu)
            .expect("initial values");
        let total = |data: &Dataset| {
            let mean = mean_log_likelihood(model.as_ref(), &theta, data).expect("a likelihood");
            mean * data.total_weight()
        };
        let parts = total(&train) + total(&validation) + total(&test);
        assert!(
            (parts - total(&whole)).abs() < 1e-9 * parts.abs(),
            "{parts} {}",
            total(&whole)
        );
        let (again, seen) = test.with_before();
        assert_eq!((again.observed.rows(), seen), (50, 40));
    }
}
