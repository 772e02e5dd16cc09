//! The nonlinear state space in all modules: gradients, fixed entries, initial values. On a linear model, the exact
//! posterior is the oracle of the approximate posteriors.

use crate::sequences::case::{Case, assert_unbiased, distance, norm};
use candle_core::{DType, Device};
use latent_lab::nn::Parameters;
use latent_lab::objective::ObjectiveConfig;
use latent_lab::posterior::PosteriorConfig;
use latent_lab::train::metrics::prediction_errors;
use latent_lab::train::{Job, evaluation};
use std::collections::BTreeMap;

const LINEAR: (&str, &str) = (
    "kind = 'linear_gaussian_ssm'\nstates = 2\ninitial_values = 'random'",
    "source = 'lgssm'\ntrain = 40\nlength = 12\nmissing = 0.2",
);
const GROWTH: (&str, &str) = (
    "kind = 'nonlinear_gaussian_ssm'",
    "source = 'growth'\ntrain = 90\nlength = 25\nmissing = 0.1",
);

#[test]
fn on_a_linear_model_the_approximate_kalman_smoothers_are_the_exact_posterior() {
    let case = Case::new(LINEAR);
    let exact = case.ascend("expected_log_likelihood", "'exact'", 0);
    let bound = case.ascend("elbo", "'exact'", 0);
    let batch = case.batch();
    let joint = case.model.joint(&case.theta, &batch).expect("a joint");
    let likelihood = joint.log_prob().and_then(|v| Ok(v.to_vec1::<f64>()?)).expect("values");
    for posterior in [
        "'extended_kalman'",
        "'unscented_kalman'",
        "'unscented_kalman'\nalpha = 0.3\nbeta = 2.0",
    ] {
        let own = case.ascend("expected_log_likelihood", posterior, 0);
        assert!(distance(&own, &exact) < 1e-8 * norm(&exact), "{posterior}");
        let own = case.ascend("elbo", posterior, 0);
        assert!(
            (own[0] - bound[0]).abs() < 1e-8 * bound[0].abs(),
            "{posterior}: {} {}",
            own[0],
            bound[0]
        );
        let config: PosteriorConfig = toml::from_str(&format!("kind = {posterior}")).expect("a posterior");
        let approximate = config
            .approximate_likelihood()
            .expect("an approximation")
            .log_prob(joint.as_ref());
        let approximate = approximate.and_then(|v| Ok(v.to_vec1::<f64>()?)).expect("values");
        assert!(
            distance(&approximate, &likelihood) < 1e-8 * norm(&likelihood),
            "{posterior}"
        );
    }
}

#[test]
fn on_a_linear_model_particles_estimate_the_exact_value_and_gradient() {
    let case = Case::new(LINEAR);
    let exact = case.ascend("expected_log_likelihood", "'exact'", 0);
    let particles = "'particle'\nparticles = 1000\nsamples = 10";
    let estimate = |index| case.ascend("expected_log_likelihood", particles, index);
    let estimates: Vec<Vec<f64>> = (0..100).map(estimate).collect();
    // A bias of order 1/N.
    assert_unbiased(&estimates, &exact, 2e-3, case.name);
}

/// Two states with an input, as formulas.
const FORMULAS: (&str, &str) = (
    "kind = 'nonlinear_gaussian_ssm'\ninitial_variances.start = [1.0, 1.0]\n\
     transition = { function = 'formulas', formulas = ['x1 + a * x2', 'b * x2 - c * sin(x1) + g * u1'], \
     parameters = ['a', 'b', 'c', 'g'], start = [0.1, 0.9, 0.2, 0.5] }\n\
     emission = { function = 'formulas', formulas = ['d * x1 + 0.1 * x2^2'], parameters = ['d'] }",
    "source = 'lgssm'\ntrain = 90\nlength = 25\nmissing = 0.1",
);

#[test]
fn gradients_match_finite_differences_under_every_posterior() {
    let posteriors = [
        "'particle'\nparticles = 50\nsamples = 5",
        "'unscented_kalman'",
        "'extended_kalman'",
    ];
    for (model, posterior) in [GROWTH, FORMULAS]
        .iter()
        .flat_map(|model| posteriors.map(|posterior| (*model, posterior)))
    {
        let case = Case::new(model);
        let batch = case.batch();
        let gradient = &case.ascend("expected_log_likelihood", posterior, 0)[1..];
        let draws = case.draws(posterior, &case.theta, 0);
        let slopes = case.slopes(1e-6, &|theta| {
            let joint = case.model.joint(theta, &batch).expect("a joint");
            let values = joint.log_joint(&draws.latents).expect("values");
            let mean = batch.mean(&values.mean(1).expect("over samples")).expect("a mean");
            mean.to_scalar().expect("a number")
        });
        assert_eq!(slopes.len(), gradient.len());
        let scale = norm(gradient).max(1.0);
        for (slope, gradient) in slopes.iter().zip(gradient) {
            assert!(
                (slope - gradient).abs() < 1e-6 * scale,
                "{posterior}: {slope} {gradient}"
            );
        }
    }
}

/// The growth model written as formulas is the growth model: in value, in the norm of its gradient, and after sweeps of EM.
#[test]
fn the_growth_model_as_formulas_is_the_named_one() {
    let given = "kind = 'nonlinear_gaussian_ssm'\ninitial_values = 'given'\ninitial_mean.start = [0.2]";
    let named = Case::new((given, GROWTH.1));
    let formulas = format!(
        "{given}\ntransition = {{ function = 'formulas', formulas = ['a * x1 + b * x1 / (1 + x1^2) + c * cos(1.2 * t)'], \
         parameters = ['a', 'b', 'c'], start = [0.5, 25.0, 8.0] }}\n\
         emission = {{ function = 'formulas', formulas = ['d * x1^2'], parameters = ['d'], start = [0.05] }}"
    );
    let formulas = Case::new((formulas.leak(), GROWTH.1));
    for posterior in ["'extended_kalman'", "'unscented_kalman'", "'particle'\nparticles = 50"] {
        let [one, other] = [&named, &formulas].map(|case| case.ascend("elbo", posterior, 0));
        assert!(
            (one[0] - other[0]).abs() < 1e-9 * one[0].abs(),
            "{posterior}: {} {}",
            one[0],
            other[0]
        );
        let norms = [norm(&one[1..]), norm(&other[1..])];
        assert!((norms[0] - norms[1]).abs() < 1e-8 * norms[0], "{posterior}: {norms:?}");
        let learnt = [&named, &formulas].map(|case| {
            let theta = climbed(case, posterior, 3);
            case.model.named(&theta).expect("parameters")
        });
        for ((name, one), (other_name, other)) in learnt[0].iter().zip(&learnt[1]) {
            assert!(
                name == other_name && (one - other).abs() < 1e-6 * one.abs().max(1e-3),
                "{name}: {one} {other}"
            );
        }
    }
}

/// The prior of a path is that of its first state and its transitions; β weighs the divergence from it.
#[test]
fn beta_weighs_the_divergence_from_the_prior_of_the_path() {
    for (case, posterior) in [
        (Case::new(GROWTH), "'particle'\nparticles = 50\nsamples = 5"),
        (Case::new(GROWTH), "'unscented_kalman'"),
        (Case::new(LINEAR), "'exact'"),
        (Case::new(LINEAR), "'sampled'\nsamples = 2"),
    ] {
        let batch = case.batch();
        let draws = case.draws(posterior, &case.theta, 0);
        for beta in [0.0, 3.0] {
            let elbo: ObjectiveConfig =
                toml::from_str(&format!("kind = 'elbo'\nbeta = {beta:?}")).expect("an objective");
            let value = |theta: &Parameters| {
                let joint = case.model.joint(theta, &batch).expect("a joint");
                let values = elbo.value(joint.as_ref(), 0, || Ok(draws.clone())).expect("values");
                batch.mean(&values).expect("a mean")
            };
            let joint = case.model.joint(&case.theta, &batch).expect("a joint");
            let terms = joint.terms(&draws.latents).expect("terms");
            let term = |name: &str| &terms.iter().find(|(own, _)| *own == name).expect("a term").1;
            let prior = (term("initial") + term("transition")).expect("nats");
            let divergence = (draws.log_q().expect("a known q") - &prior).expect("nats");
            let expected = (term("emission") - (divergence * beta).expect("nats")).expect("nats");
            let expected = batch.mean(&expected.mean(1).expect("over samples")).expect("a mean");
            let expected = expected.to_scalar::<f64>().expect("a number");
            let mean = value(&case.theta);
            let found = mean.to_scalar::<f64>().expect("a number");
            assert!(
                (found - expected).abs() < 1e-9 * expected.abs().max(1.0),
                "{found} {expected}"
            );
            let gradients = mean.backward().expect("gradients");
            let gradient: Vec<f64> = case
                .theta
                .iter()
                .flat_map(|(_, var)| match gradients.get(var) {
                    Some(own) => own.flatten_all().and_then(|g| g.to_vec1::<f64>()).expect("numbers"),
                    None => vec![0.0; var.elem_count()],
                })
                .collect();
            let slopes = case.slopes(1e-6, &|theta| value(theta).to_scalar().expect("a number"));
            let scale = norm(&gradient).max(1.0);
            for (slope, gradient) in slopes.iter().zip(&gradient) {
                assert!(
                    (slope - gradient).abs() < 2e-6 * scale,
                    "{posterior}, β = {beta}: {slope} {gradient}"
                );
            }
        }
    }
}

/// The metrics of an evaluation of initial values.
fn evaluated(case: &Case) -> BTreeMap<String, f64> {
    let job = Job {
        model: case.model.as_ref(),
        posterior: &toml::from_str("kind = 'extended_kalman'").expect("a posterior"),
        objective: &toml::from_str("kind = 'expected_log_likelihood'").expect("an objective"),
        training: &toml::from_str("optimizer = 'em'").expect("training"),
        splits: &case.splits,
        original: &case.splits,
        streams: &case.streams,
        threads: 1,
        evaluation: &toml::from_str("bounds.samples = 1").expect("an evaluation"),
        controlled: None,
    };
    evaluation::evaluate(&job, &case.theta, 0)
        .expect("metrics")
        .into_iter()
        .collect()
}

#[test]
fn an_estimated_likelihood_says_how_far_it_can_be_trusted() {
    const STEPS: f64 = 100.0;
    let with = |particles: usize, parameters: &str| {
        let model = format!(
            "kind = 'nonlinear_gaussian_ssm'\ninitial_values = 'given'\nlikelihood_particles = {particles}\n{parameters}"
        );
        let data = "source = 'growth'\ntrain = 100\ntest = 100";
        evaluated(&Case::new((model.leak(), data)))
    };
    let parts = |metrics: &BTreeMap<String, f64>| {
        let at = |name: &str| metrics[&format!("test/log_likelihood_{name}")];
        (at("estimate"), at("standard_error"), at("bias"))
    };
    // At the generator's parameters, and where the model hardly explains the data and few particles are lost.
    for parameters in ["", "emission.start = [0.08]\nemission_variances.start = [0.02]"] {
        let many = with(5000, parameters);
        let (reference, error, bias) = parts(&many);
        let reference = reference - bias;
        assert!(error > 0.0 && bias < 0.0, "{error} {bias}");
        for particles in [20, 200, 1000] {
            let (value, own, bias) = parts(&with(particles, parameters));
            let is_trusted = own * STEPS < 1.0;
            let agrees = (value - bias - reference).abs() < 6.0 * (own.powi(2) + error.powi(2)).sqrt();
            assert!(
                agrees || !is_trusted,
                "{parameters} {particles}: {value} ± {own} {bias}, {reference} ± {error}"
            );
            assert!(
                particles > 20 || !is_trusted,
                "20 particles are trusted: {value} ± {own}"
            );
        }
        assert!(!many.contains_key("test/log_likelihood") && !many.contains_key("train/log_likelihood"));
        assert!(
            !many.keys().any(|name| name.contains("information_criterion")),
            "{:?}",
            many.keys()
        );
        assert!(many["test/oracle_standard_error"] > 0.0);
    }
}

/// After `count` sweeps of EM.
fn climbed(case: &Case, posterior: &str, count: u64) -> Parameters {
    let sweeps = case.sweeps();
    let first = case.theta.snapshot().expect("a copy");
    (0..count).fold(first, |theta, sweep| {
        case.improve(sweeps.as_ref(), &theta, posterior, sweep).theta
    })
}

/// Many sequences, and noise wide enough for 200 particles, leave little to chance: learnt values are within about six
/// standard errors of the truth (of w and v over 800 steps, and of regressions on them). A known d fixes the scale of
/// x; otherwise EM is slow.
#[test]
fn em_by_particles_recovers_the_growth_model_from_many_sequences() {
    let case = Case::new((
        "kind = 'nonlinear_gaussian_ssm'\ninitial_values = 'given'\ntransition.start = [0.45, 22.0, 7.0]\n\
         emission.fixed = [0.05]\ntransition_variances.start = [2.0]\nemission_variances.start = [2.0]",
        "source = 'growth'\ntrain = 800\nlength = 50\ntransition_variance = 1.0\nemission_variance = 1.0\nmissing = 0.05",
    ));
    let theta = climbed(&case, "'particle'\nparticles = 200\nsamples = 10", 50);
    let named = case.model.named(&theta).expect("parameters");
    let expected = [
        ("a", 0.5, 0.03),
        ("b", 25.0, 2.0),
        ("c", 8.0, 0.5),
        ("q", 1.0, 0.5),
        ("r", 1.0, 0.4),
    ];
    assert_eq!(named.len(), expected.len());
    for ((name, value), (letter, truth, margin)) in named.iter().zip(expected) {
        let near = (value - truth).abs() < margin;
        assert!(name == letter && near, "{name}: {value}, truth {truth}");
    }
}

#[test]
fn fixed_entries_stay_fixed_and_initial_values_lie_where_the_file_says() {
    let text = "kind = 'nonlinear_gaussian_ssm'\nspread = 0.2\ntransition.fixed = [nan, 25.0, nan]\n\
                emission_variances.fixed = [0.1]\ntransition.start = [0.6, 25.0, 9.0]\ninitial_mean.start = [0.3]\n\
                initial_variances = { fixed = [0.2] }";
    let case = Case::new((text, GROWTH.1));
    let natural = |theta: &Parameters, name: &str| -> Vec<f64> {
        let all = case.model.natural(theta).expect("terms");
        all[name].to_vec1().expect("numbers")
    };
    for start in 0..20 {
        let theta = case
            .model
            .initial(&case.splits.train, &case.streams, start, DType::F64, &Device::Cpu)
            .expect("initial values");
        let w = natural(&theta, "transition");
        assert!(
            w[1] == 25.0 && (0.48..0.72).contains(&w[0]) && (7.2..10.8).contains(&w[2]),
            "{w:?}"
        );
        assert!((0.04..0.06).contains(&natural(&theta, "emission")[0]));
        assert!((0.08..0.12).contains(&natural(&theta, "transition_variances")[0]));
        assert_eq!(natural(&theta, "emission_variances"), [0.1]);
    }
    for posterior in ["'particle'", "'unscented_kalman'"] {
        let theta = climbed(&case, posterior, 3);
        assert_eq!(natural(&theta, "transition")[1], 25.0);
        assert_eq!(
            (
                natural(&theta, "emission_variances"),
                natural(&theta, "initial_variances")
            ),
            (vec![0.1], vec![0.2])
        );
        assert_ne!(natural(&theta, "initial_mean"), natural(&case.theta, "initial_mean"));
        let names: Vec<String> = case
            .model
            .named(&theta)
            .expect("parameters")
            .into_iter()
            .map(|named| named.0)
            .collect();
        assert_eq!(names, ["a", "c", "d", "q"]);
        assert_eq!(case.model.free_parameters(&theta), 5);
    }
}

/// One-step, k-step and free-run errors and their ratios to those of the generator's own system, of initial values.
fn errors_of(case: &Case) -> Vec<(String, f64)> {
    let job = Job {
        model: case.model.as_ref(),
        posterior: &toml::from_str("kind = 'particle'").expect("a posterior"),
        objective: &toml::from_str("kind = 'expected_log_likelihood'").expect("an objective"),
        training: &toml::from_str("optimizer = 'em'").expect("training"),
        splits: &case.splits,
        original: &case.splits,
        streams: &case.streams,
        threads: 1,
        evaluation: &toml::from_str("forecast = { warm_up = 3, horizon = 4 }").expect("an evaluation"),
        controlled: None,
    };
    prediction_errors(&job, &case.theta).expect("errors")
}

#[test]
fn predictions_are_scored_as_those_of_linear_models() {
    let linear = errors_of(&Case::new(LINEAR));
    // Started at the generator's own parameters: the particles of both differ in number and chance alone.
    let truth = Case::new((
        "kind = 'nonlinear_gaussian_ssm'\ninitial_values = 'given'\nlikelihood_particles = 10000",
        "source = 'growth'\ntrain = 20\ntest = 200\nlength = 50\nmissing = 0.1",
    ));
    let errors = errors_of(&truth);
    let names = |errors: &[(String, f64)]| errors.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&errors), names(&linear));
    assert_eq!(errors, errors_of(&truth));
    let at = |name: &str| errors.iter().find(|(own, _)| own == name).expect("a metric").1;
    for (name, value) in &errors {
        let is_ratio = name.ends_with("_ratio");
        assert!(
            if is_ratio {
                (value - 1.0).abs() < 0.02
            } else {
                *value > 0.3
            },
            "{name}: {value}"
        );
    }
    assert!(at("test/one_step_error") < at("test/k_step_error"), "{errors:?}");
    assert!(at("test/k_step_error") < at("test/free_run_error"), "{errors:?}");
    let wrong = Case::new((
        "kind = 'nonlinear_gaussian_ssm'\ninitial_values = 'given'\ntransition.start = [0.6, 20.0, 6.0]",
        "source = 'growth'\ntrain = 20\ntest = 200\nlength = 50\nmissing = 0.1",
    ));
    let errors = errors_of(&wrong);
    let ratios = errors.iter().filter(|(name, _)| name.ends_with("_ratio"));
    assert!(
        ratios.clone().count() == 3 && ratios.clone().all(|(_, ratio)| *ratio > 1.05),
        "{errors:?}"
    );
}
