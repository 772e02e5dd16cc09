//! Formulas and nonlinear models: their likelihood, predictions, particles and approximate smoothers.

use crate::sequences::case::{distance, norm};
use crate::sequences::neural_case::{MODELS, Neural, everything, numbers};
use candle_core::{Device, Tensor};
use latent_lab::math::streams::Streams;
use latent_lab::model::Latents;
use latent_lab::posterior::PosteriorConfig;

/// A linear system written as formulas is the same state space: its particles come to the exact log-likelihood, and its
/// one-step predictions to the Kalman filter's.
#[test]
fn formulas_of_a_linear_system_have_its_likelihood_and_its_predictions() {
    let fixed = "initial_variances = { fixed = [2.0] }\ntransition_variances = { fixed = [2.0] }\nemission_variances = { fixed = [4.0] }";
    let linear = format!(
        "kind = 'neural_ssm'\nstates = 1\n{fixed}\ntransition = {{ kind = 'linear', matrix = {{ fixed = [[0.8]] }}, \
         input = {{ fixed = [[0.5]] }}, offset = {{ fixed = [0.1]}} }}\n\
         emission = {{ kind = 'linear', matrix = {{ fixed = [[1.5]] }}, offset = {{ fixed = [0.2] }} }}\n\
         initial_mean = {{ fixed = [0.0] }}"
    );
    let formulas = format!(
        "kind = 'neural_ssm'\nstates = 1\nlikelihood_particles = 4000\n{fixed}\ninitial_mean = {{ fixed = [0.0] }}\n\
         transition = {{ kind = 'formula', formulas = ['a * x1 + 0.5 * u1 + 0.1'], parameters = ['a'], values = {{ fixed = [0.8] }} }}\n\
         emission = {{ kind = 'formula', formulas = ['1.5 * x1 + 0.2'] }}"
    );
    let posterior = || toml::from_str::<PosteriorConfig>("kind = 'prior'").expect("a posterior");
    let (exact, particles) = (Neural::new(&linear, posterior()), Neural::new(&formulas, posterior()));
    let numbers_of = Streams::new(7).named("likelihood");
    let batch = exact.batch();
    let joint = exact.model.joint(&exact.theta, &batch).expect("a joint");
    let exact_values = numbers(&joint.log_prob().expect("values"));
    let joint = particles.model.joint(&particles.theta, &batch).expect("a joint");
    let estimates = joint
        .estimates()
        .expect("estimates")
        .log_prob_estimates(&numbers_of)
        .expect("estimates");
    for (b, exact) in exact_values.iter().enumerate() {
        let mean = estimates.iter().map(|one| one[b]).sum::<f64>() / estimates.len() as f64;
        assert!((mean - exact).abs() < 0.05, "sequence {b}: {mean} {exact}");
    }
    let sequences = particles.train.sequences().expect("sequences");
    let expected = |case: &Neural| {
        let predictor = case
            .model
            .predictor(&case.theta)
            .expect("a predictor")
            .expect("a predictor");
        let horizons = [latent_lab::math::kalman::Horizon::Steps(1)];
        predictor
            .expected(&sequences, &horizons, &numbers_of)
            .expect("predictions")
            .remove(0)
    };
    for (exact, estimate) in expected(&exact).concat().iter().zip(expected(&particles).concat()) {
        assert!((exact - estimate).abs() < 0.1, "{exact} {estimate}");
    }
}

/// Simulated trajectories of a nonlinear model: their expected log-density has the gradient of finite differences.
#[test]
fn particles_of_a_nonlinear_model_are_evaluated_as_paths() {
    let posterior = "kind = 'particle'\nparticles = 30\nsamples = 2";
    let case = Neural::new(MODELS[1], toml::from_str(posterior).expect("a posterior"));
    let batch = case.batch();
    let joint = case.model.joint(&case.theta, &batch).expect("a joint");
    let generator = &mut Streams::new(9).named("draws").at(0);
    let draws = case
        .posterior
        .draws(joint.as_ref(), &case.theta, 0, generator)
        .expect("draws");
    let Latents::Trajectories(beliefs) = &draws.latents else {
        panic!("trajectories")
    };
    let values = numbers(&joint.log_joint(&draws.latents).expect("values"));
    let sequences = case.train.sequences().expect("sequences");
    let longest = sequences.lengths().iter().max().copied().expect("sequences");
    let mut paths = vec![0.0; sequences.count() * 2 * longest * 2];
    for i in 0..sequences.count() {
        for s in 0..2 {
            for t in 0..sequences.lengths()[i] {
                let at = ((i * 2 + s) * longest + t) * 2;
                paths[at..at + 2].copy_from_slice(beliefs[s].mean(&sequences, i, t).as_slice());
            }
        }
    }
    let paths = Tensor::from_vec(paths, (sequences.count(), 2, longest, 2), &Device::Cpu).expect("paths");
    let again = numbers(&joint.log_joint(&Latents::Paths(paths)).expect("values"));
    assert!(distance(&values, &again) < 1e-9 && values.iter().all(|v| v.is_finite()));
}

/// A linear system written as formulas is not known to be linear: the approximate smoothers linearise it without an error,
/// so that their bounds are its exact log-likelihood, with the gradient of it.
#[test]
fn approximate_smoothers_of_linear_formulas_are_exact() {
    let given = |formulas: bool| {
        let [transition, emission] = match formulas {
            true => [
                "{ kind = 'formula', formulas = ['0.8 * x1 + 0.3 * x2 + 0.5 * u1 + 0.1', '0.6 * x2 - 0.2 * x1'] }",
                "{ kind = 'formula', formulas = ['1.5 * x1 - 0.4 * x2 + 0.2'] }",
            ],
            false => [
                "{ kind = 'linear', matrix = { fixed = [[0.8, 0.3], [-0.2, 0.6]] }, input = { fixed = [[0.5], [0.0]] }, \
                 offset = { fixed = [0.1, 0.0] } }",
                "{ kind = 'linear', matrix = { fixed = [[1.5, -0.4]] }, offset = { fixed = [0.2] } }",
            ],
        };
        format!("kind = 'neural_ssm'\nstates = 2\ntransition = {transition}\nemission = {emission}")
    };
    let exact = Neural::new(&given(false), toml::from_str("kind = 'exact'").expect("a posterior"));
    let bound = exact.mean(&exact.theta, "kind = 'elbo'", 0);
    let gradient = exact.gradient("kind = 'elbo'", 0, everything);
    for kind in ["extended_kalman", "unscented_kalman"] {
        let posterior = toml::from_str(&format!("kind = '{kind}'")).expect("a posterior");
        let own = Neural::new(&given(true), posterior);
        let value = own.mean(&own.theta, "kind = 'elbo'", 0);
        assert!((value - bound).abs() < 1e-7 * bound.abs(), "{kind}: {value} {bound}");
        let own = own.gradient("kind = 'elbo'", 0, everything);
        assert!(
            distance(&own, &gradient) < 1e-6 * norm(&gradient),
            "{kind}: {own:?} {gradient:?}"
        );
    }
}
