//! The evidence lower bound and the importance-weighted bound: their relations, what they bound, β and free nats.

use crate::case::{Case, agrees, close, mean_and_error, numbers, objective, rows};
use candle_core::Tensor;
use latent_lab::math::streams::Streams;
use latent_lab::objective::{Gradient, Iwae, ObjectiveConfig, ObjectiveKind};
use latent_lab::posterior::{Draws, PosteriorConfig};

const LINEAR: &str = "kind = 'latent_gaussian'\nlatent_dimensions = 2\nhidden = []\nfixed_deviation = 0.5";
const CURVED: &str = "kind = 'latent_gaussian'\nlatent_dimensions = 2\nhidden = [5]\ndeviation = 'given_z'";
const POLICY: &str = "kind = 'latent_gaussian'\nlatent_dimensions = 1\nhidden = [4]\nprior = 'given_x'";
const CLUSTERS: &str = "kind = 'gaussian_mixture'\ncomponents = 3";

fn network(more: &str) -> String {
    format!("kind = 'amortised'\nhidden = [4]\n{more}")
}

fn cases(posterior: &str) -> Vec<Case> {
    let streams = Streams::new(1);
    let case = |(model, given)| Case::new(model, posterior, rows(40, 3, given, false, &streams), 1);
    [(LINEAR, 0), (CURVED, 0), (POLICY, 2)].map(case).into()
}

/// The objective of every row, given these draws.
fn value(case: &Case, objective: &ObjectiveConfig, step: u64, draws: &Draws) -> Tensor {
    let batch = case.batch();
    let joint = case.model.joint(&case.theta, &batch).expect("a joint");
    objective
        .value(joint.as_ref(), step, || Ok(draws.clone()))
        .expect("values")
}

fn drawn(case: &Case, index: u64) -> Draws {
    let batch = case.batch();
    case.draws(case.model.joint(&case.theta, &batch).expect("a joint").as_ref(), index)
}

fn of_model(name: &str) -> bool {
    !name.starts_with("posterior")
}

#[test]
fn the_expected_log_likelihood_and_the_elbo_have_the_same_gradient_for_the_model() {
    let [expected, elbo] = ["kind = 'expected_log_likelihood'", "kind = 'elbo'"].map(objective);
    let mut cases = cases(&network("samples = 3"));
    cases.push(Case::new(
        CLUSTERS,
        &network(""),
        rows(40, 2, 0, false, &Streams::new(2)),
        2,
    ));
    for case in cases {
        let draws = drawn(&case, 0);
        // The objective for θ with `fit = "reverse_kl"`: the samples are detached.
        let one = value(&case, &expected, 0, &draws.detached());
        let other = value(&case, &elbo, 0, &draws);
        let (one, other) = (case.gradient(&one, of_model), case.gradient(&other, of_model));
        assert!(one.iter().any(|g| g.abs() > 1e-3), "{}: nothing to compare", case.name);
        close(&one, &other, 1e-12, &case.name);
    }
}

#[test]
fn one_importance_weight_is_the_elbo() {
    let [iwae, elbo] = ["kind = 'iwae'", "kind = 'elbo'"].map(objective);
    for case in cases(&network("samples = 1")) {
        let draws = drawn(&case, 0);
        let [one, other] = [&iwae, &elbo].map(|objective| value(&case, objective, 0, &draws));
        close(&numbers(&one), &numbers(&other), 1e-12, &case.name);
        let [one, other] = [&one, &other].map(|value| case.gradient(value, |_| true));
        close(&one, &other, 1e-12, &case.name);
    }
}

#[test]
fn the_importance_weighted_bound_grows_towards_the_log_likelihood() {
    const COUNTS: [usize; 4] = [1, 3, 10, 100];
    let model = "kind = 'latent_gaussian'\nlatent_dimensions = 2\nhidden = []\nfixed_deviation = 1.5";
    let iwae = objective("kind = 'iwae'");
    let streams = Streams::new(3);
    let mut means: Vec<(f64, f64)> = Vec::new();
    let mut exact = 0.0;
    for samples in COUNTS {
        let posterior = format!("kind = 'amortised'\nhidden = []\nsamples = {samples}");
        let case = Case::new(model, &posterior, rows(20, 3, 0, false, &streams), 3).with_wide_network();
        let linear = case.linear(1.5);
        exact = (0..20).map(|i| linear.log_prob(case.data.observed.row(i))).sum::<f64>() / 20.0;
        let estimates: Vec<f64> = (0..150)
            .map(|index| {
                let values = numbers(&value(&case, &iwae, 0, &drawn(&case, index)));
                values.iter().sum::<f64>() / 20.0
            })
            .collect();
        means.push(mean_and_error(&estimates));
    }
    for pair in means.windows(2) {
        let error = (pair[0].1.powi(2) + pair[1].1.powi(2)).sqrt();
        assert!(pair[1].0 - pair[0].0 > 3.0 * error, "{means:?}");
    }
    let (last, error) = means[COUNTS.len() - 1];
    assert!(
        last < exact + 6.0 * error && last > exact - 0.05 - 6.0 * error,
        "{means:?} {exact}"
    );
}

/// Tucker et al. 2019: the same mean as the plain gradient, with less noise where there are many draws.
#[test]
fn the_doubly_reparameterised_gradient_is_the_plain_one_on_average() {
    const REPEATS: u64 = 300;
    let streams = Streams::new(4);
    let iwae = objective("kind = 'iwae'");
    let doubly = Iwae {
        gradient: Gradient::DoublyReparameterised,
    };
    let model = "kind = 'latent_gaussian'\nlatent_dimensions = 1\nhidden = [3]\nfixed_deviation = 0.5";
    // The same three rows over and over: every estimate is a mean over many draws.
    let mut data = rows(3, 2, 0, false, &streams);
    data.observed = data.observed.select(&(0..600).map(|i| i % 3).collect::<Vec<_>>());
    let case = Case::new(
        model,
        "kind = 'amortised'\nhidden = []\nsamples = 8\nfit = 'objective'",
        data,
        4,
    );
    let batch = case.batch();
    let of_network = |name: &str| !of_model(name);
    let mut plain = Vec::new();
    let mut differences = Vec::new();
    let mut surrogates = Vec::new();
    for index in 0..REPEATS {
        let joint = case.model.joint(&case.theta, &batch).expect("a joint");
        let draws = case.draws(joint.as_ref(), index);
        let one = iwae.value(joint.as_ref(), 0, || Ok(draws.clone())).expect("values");
        let one = case.gradient(&one, of_network);
        let other = doubly
            .surrogate()
            .expect("a surrogate")
            .value(joint.as_ref(), &draws)
            .expect("values");
        let other = case.gradient(&other, of_network);
        differences.push(one.iter().zip(&other).map(|(a, b)| a - b).collect::<Vec<_>>());
        plain.push(one);
        surrogates.push(other);
    }
    let count = plain[0].len();
    let column = |all: &[Vec<f64>], i: usize| all.iter().map(|g| g[i]).collect::<Vec<_>>();
    let mut noise = [0.0; 2];
    for i in 0..count {
        let (mean, error) = mean_and_error(&column(&plain, i));
        assert!(
            mean.abs() > 6.0 * error || mean.abs() < 0.1,
            "a gradient that cannot be distinguished from 0: {mean}"
        );
        agrees(&column(&differences, i), 0.0, &format!("parameter {i}"));
        noise[0] += error.powi(2);
        noise[1] += mean_and_error(&column(&surrogates, i)).1.powi(2);
    }
    assert!(noise[1] < 0.7 * noise[0], "{noise:?}");
}

#[test]
fn beta_warms_up_along_a_line() {
    let [none, elbo, warm] = [
        "kind = 'elbo'\nbeta = 0.0",
        "kind = 'elbo'\nbeta = 0.8",
        "kind = 'elbo'\nbeta = 0.8\nwarm_up_steps = 10",
    ]
    .map(objective);
    for case in cases(&network("samples = 2")) {
        let draws = drawn(&case, 0);
        let at = |objective: &ObjectiveConfig, step: u64| numbers(&value(&case, objective, step, &draws));
        let (none, all) = (at(&none, 0), at(&elbo, 0));
        assert!(none.iter().zip(&all).any(|(a, b)| (a - b).abs() > 0.1), "{}", case.name);
        for (step, share) in [(0, 0.0), (3, 0.3), (10, 1.0), (99, 1.0)] {
            let line: Vec<f64> = none.iter().zip(&all).map(|(a, b)| a + share * (b - a)).collect();
            close(&at(&warm, step), &line, 1e-12, &case.name);
        }
    }
}

/// β has one meaning: the weight of KL(q ‖ p(z)), with and without free nats.
#[test]
fn beta_weighs_the_divergence_from_the_prior() {
    let mut cases = cases(&network("samples = 3"));
    let streams = Streams::new(2);
    let clusters = rows(40, 2, 0, false, &streams);
    cases.push(Case::new(CLUSTERS, &network(""), clusters.clone(), 2));
    cases.push(Case::new(CLUSTERS, "kind = 'exact'", clusters, 2));
    for case in cases {
        let draws = drawn(&case, 0);
        let batch = case.batch();
        let joint = case.model.joint(&case.theta, &batch).expect("a joint");
        let prior = joint.log_prior(&draws.latents).expect("a prior");
        let whole = joint.log_joint(&draws.latents).expect("values");
        let mean = |values: Tensor| draws.expectation(&values).expect("a mean");
        let likelihood = mean((&whole - &prior).expect("nats"));
        let divergence = mean((draws.log_q().expect("a known q") - &prior).expect("nats"));
        for (beta, free) in [(0.0, 0.0), (1.0, 0.0), (4.0, 0.0), (4.0, 1e-9)] {
            let bound = objective(&format!("kind = 'elbo'\nbeta = {beta:?}\nfree_nats = {free:?}"));
            let bound = value(&case, &bound, 0, &draws);
            let expected = (&likelihood - (&divergence * beta).expect("nats")).expect("nats");
            close(&numbers(&bound), &numbers(&expected), 1e-12, &case.name);
            let (one, other) = (case.gradient(&bound, |_| true), case.gradient(&expected, |_| true));
            close(&one, &other, 1e-12, &case.name);
        }
    }
}

#[test]
fn free_nats_replace_a_smaller_divergence_and_its_gradient() {
    let elbo = objective("kind = 'elbo'");
    for case in cases(&network("samples = 2")) {
        let draws = drawn(&case, 0);
        let batch = case.batch();
        let joint = case.model.joint(&case.theta, &batch).expect("a joint");
        let prior = joint.log_prior(&draws.latents).expect("a prior");
        let divergence = (draws.log_q().expect("a known q") - &prior).expect("nats");
        let divergence = divergence
            .mean_all()
            .and_then(|m| m.to_scalar::<f64>())
            .expect("a number");
        assert!(divergence > 0.02, "{}", case.name);
        // Below the free nats they stand in for the divergence, which then has no gradient.
        let free = divergence + 0.5;
        let bent = objective(&format!("kind = 'elbo'\nfree_nats = {free}"));
        let bent = bent.value(joint.as_ref(), 0, || Ok(draws.clone())).expect("values");
        let likelihood = (joint.log_joint(&draws.latents).expect("values") - prior).expect("nats");
        let likelihood = likelihood.mean(1).expect("a mean");
        let expected: Vec<f64> = numbers(&likelihood).iter().map(|l| l - free).collect();
        close(&numbers(&bent), &expected, 1e-12, &case.name);
        close(
            &case.gradient(&bent, |_| true),
            &case.gradient(&likelihood, |_| true),
            1e-12,
            &case.name,
        );
        // Above them nothing changes.
        let less = objective(&format!("kind = 'elbo'\nfree_nats = {}", divergence - 0.01));
        let [one, other] = [&less, &elbo].map(|objective| value(&case, objective, 0, &draws));
        close(&numbers(&one), &numbers(&other), 1e-12, &case.name);
        close(
            &case.gradient(&one, |_| true),
            &case.gradient(&other, |_| true),
            1e-12,
            &case.name,
        );
    }
}

#[test]
fn a_chain_has_no_bound() {
    let posterior: PosteriorConfig = toml::from_str("kind = 'hamiltonian'\nburn_in = 2").expect("a posterior");
    let case = Case {
        posterior,
        ..cases(&network("")).remove(0)
    };
    let draws = drawn(&case, 0);
    let batch = case.batch();
    let joint = case.model.joint(&case.theta, &batch).expect("a joint");
    for kind in ["elbo", "iwae"] {
        let objective = objective(&format!("kind = '{kind}'"));
        let error = objective.value(joint.as_ref(), 0, || Ok(draws.clone())).unwrap_err();
        assert!(error.to_string().contains("tractable log q"), "{error}");
    }
}
