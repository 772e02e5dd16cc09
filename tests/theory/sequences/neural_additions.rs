//! Additions to the bound: differentiable, zero where they should be, and what they train.

use crate::sequences::case::{distance, norm};
use crate::sequences::neural_case::{LINEAR, MODELS, Neural, amortised, everything, is_of_the_model};

/// The additions to the bound are differentiable, with and without a deterministic part, and for chains and independent steps.
#[test]
fn gradients_of_additions_are_those_of_finite_differences() {
    let objectives = [
        "kind = 'elbo'\nconsistency = 0.7",
        "kind = 'elbo'\ncurvature = { weight = 2.0, deviation = 0.5 }\nfree_nats_per_step = 0.05",
        "kind = 'elbo'\nfree_run = 0.6",
    ];
    let pairs = [
        (1, "family = 'smoothing'"),
        (6, "family = 'mean_field'"),
        (3, "family = 'transition_noise'"),
        (5, "family = 'smoothing'\nsees_transition = true"),
    ];
    for (model, family) in pairs {
        let case = Neural::new(MODELS[model], amortised(family));
        for objective in objectives {
            let (exact, differences) = (case.gradient(objective, 0, everything), case.differences(objective, 0));
            let apart = distance(&exact, &differences) / norm(&differences);
            assert!(apart < 1e-6, "{model} {family} {objective}: {apart}");
        }
    }
}

/// Overshooting gives q no gradient as a target: its gradient of θ alone is that of finite differences in a chain whose q does
/// not depend on the states.
#[test]
fn overshooting_trains_the_transition() {
    let case = Neural::new(MODELS[1], amortised("family = 'single_step'"));
    let (plain, over) = (
        "kind = 'elbo'",
        "kind = 'elbo'\novershooting = { steps = 4, weight = 1.5 }",
    );
    let penalty = case.mean(&case.theta, plain, 0) - case.mean(&case.theta, over, 0);
    assert!(penalty > 0.0, "{penalty}");
    let exact = case.gradient(over, 0, is_of_the_model);
    let own: Vec<bool> = case
        .theta
        .iter()
        .flat_map(|(name, var)| std::iter::repeat_n(is_of_the_model(name), var.elem_count()))
        .collect();
    let differences = case.differences(over, 0).into_iter().zip(own);
    let differences: Vec<f64> = differences.filter(|(_, own)| *own).map(|(slope, _)| slope).collect();
    let apart = distance(&exact, &differences) / norm(&differences);
    assert!(apart < 1e-6, "{apart}");
}

/// Where an addition has nothing to correct, it is 0.
#[test]
fn additions_are_zero_where_they_should_be() {
    let same = |model: &str, family: &str, addition: &str| {
        let case = Neural::new(model, amortised(family));
        let bounds = ["kind = 'elbo'".to_owned(), format!("kind = 'elbo'\n{addition}")]
            .map(|objective| case.mean(&case.theta, &objective, 0));
        assert!((bounds[0] - bounds[1]).abs() < 1e-9, "{family} {addition}: {bounds:?}");
    };
    same(
        LINEAR,
        "family = 'smoothing'",
        "curvature = { weight = 3.0, deviation = 0.5 }",
    );
    same(MODELS[1], "family = 'initial_only'", "consistency = 2.0");
}

/// Without noise in the transition a path by the model's own transition is a simulation: its emissions count 1 + weight times.
#[test]
fn a_free_run_is_a_path_without_noise() {
    for model in [1, 6, 8] {
        let quiet = format!(
            "{}\ntransition_deviation_floor = 1e-9\ntransition_variances.fixed = [1e-14, 1e-14]",
            MODELS[model]
        );
        let case = Neural::new(&quiet, amortised("family = 'initial_only'"));
        let emission = case.mean(&case.theta, "kind = 'elbo'\nbeta = 0.0", 0);
        let both = case.mean(&case.theta, "kind = 'elbo'\nbeta = 0.0\nfree_run = 0.7", 0);
        assert!(
            (both - 1.7 * emission).abs() < 1e-5 * emission.abs(),
            "{model}: {emission} {both}"
        );
        // With noise they differ.
        let case = Neural::new(MODELS[model], amortised("family = 'initial_only'"));
        let emission = case.mean(&case.theta, "kind = 'elbo'\nbeta = 0.0", 0);
        let both = case.mean(&case.theta, "kind = 'elbo'\nbeta = 0.0\nfree_run = 0.7", 0);
        assert!(
            (both - 1.7 * emission).abs() > 1e-3 * emission.abs(),
            "{model}: {emission} {both}"
        );
    }
}

/// The divergences of single steps, in closed form, have the mean of log q − log p over draws.
#[test]
fn divergences_of_steps_sum_to_the_divergence_of_paths() {
    for (model, family) in [(1, "family = 'smoothing'"), (6, "family = 'mean_field'")] {
        let case = Neural::new(MODELS[model], amortised(family));
        // With free nats below every divergence, the bound is the same but for its noise.
        let means = [
            "kind = 'elbo'\nbeta = 0.999999",
            "kind = 'elbo'\nbeta = 0.999999\nfree_nats_per_step = 1e-9",
            "kind = 'elbo'\nbeta = 0.0",
        ]
        .map(|objective| {
            (0..200)
                .map(|index| case.mean(&case.theta, objective, index))
                .collect::<Vec<f64>>()
        });
        let apart: Vec<f64> = means[0].iter().zip(&means[1]).map(|(a, b)| a - b).collect();
        let mean = apart.iter().sum::<f64>() / 200.0;
        let error = (apart.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 199.0 / 200.0).sqrt();
        let divergence = means[2].iter().zip(&means[0]).map(|(a, b)| a - b).sum::<f64>() / 200.0;
        let is_same = mean.abs() < 4.0 * error && error < 0.05 * divergence;
        assert!(is_same, "{family}: {mean} ± {error} of {divergence}");
    }
}
