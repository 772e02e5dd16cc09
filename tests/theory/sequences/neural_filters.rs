//! Particle filters of neural state spaces: the filtering variational objective against bounds, exact values and differences.

use crate::sequences::case::{assert_unbiased, distance, norm};
use crate::sequences::neural_case::{LINEAR, MODELS, Neural, amortised, everything, numbers};

/// log p̂ of the particle filter: without resampling the bound of as many paths, and unbiased with it.
#[test]
fn filters_without_resampling_are_importance_weighted_bounds() {
    let never = "kind = 'fivo'\nparticles = 50\nresample_below = 0.0";
    for family in [
        "family = 'filtering'",
        "family = 'smoothing'",
        "family = 'transition_noise'",
    ] {
        let case = Neural::new(LINEAR, amortised(family));
        let posterior = format!("kind = 'amortised'\nhidden = [3]\nrecurrent_units = 3\nsamples = 50\n{family}");
        let many = Neural {
            posterior: toml::from_str(&posterior).expect("a posterior"),
            ..Neural::new(LINEAR, amortised(family))
        };
        let estimates = |case: &Neural, objective: &str| -> Vec<Vec<f64>> {
            let one = |index| numbers(&case.values(&case.theta, objective, index));
            (0..300).map(one).collect()
        };
        let mean = |all: &[Vec<f64>]| -> Vec<f64> {
            let sequences = all[0].len();
            (0..sequences)
                .map(|b| all.iter().map(|one| one[b]).sum::<f64>() / all.len() as f64)
                .collect()
        };
        let (filters, bounds) = (estimates(&case, never), estimates(&many, "kind = 'iwae'"));
        // Both means have errors: √2 of one.
        assert_unbiased(&filters, &mean(&bounds), 0.01, family);
    }
}

#[test]
fn the_estimates_of_filters_are_unbiased_on_the_scale_of_the_likelihood() {
    let one = LINEAR.replace("states = 2", "states = 1");
    let proposals = [
        (LINEAR, "kind = 'prior'", 0.5),
        (LINEAR, "kind = 'prior'", 1.0),
        (one.as_str(), "kind = 'locally_optimal'", 0.5),
        (
            LINEAR,
            "kind = 'amortised'\nfamily = 'transition_noise'\nhidden = []\nrecurrent_units = 2",
            0.5,
        ),
    ];
    for (model, posterior, below) in proposals {
        let case = Neural::new(model, toml::from_str(posterior).expect("a posterior"));
        let batch = case.batch();
        let exact = numbers(
            &case
                .model
                .joint(&case.theta, &batch)
                .and_then(|joint| joint.log_prob())
                .expect("values"),
        );
        let objective = format!("kind = 'fivo'\nparticles = 64\nresample_below = {below}");
        let ratios: Vec<Vec<f64>> = (0..300)
            .map(|index| {
                let logs = numbers(&case.values(&case.theta, &objective, index));
                logs.iter()
                    .zip(&exact)
                    .map(|(log, exact)| (log - exact).exp())
                    .collect()
            })
            .collect();
        assert_unbiased(&ratios, &vec![1.0; exact.len()], 0.0, posterior);
    }
}

/// x ↦ x − x³ throws distant particles out of the range of numbers within a few steps: to ±∞, then to no number at all. Their
/// weight is 0, before and after resampling, and the others go on.
#[test]
fn particles_that_leave_the_range_of_numbers_lose_their_weight() {
    const EXPLODING: &str = "kind = 'neural_ssm'\nstates = 1\ninitial_variances = { fixed = [4.0] }\n\
                             transition = { kind = 'formula', formulas = ['x1 - x1^3'] }";
    for below in [0.0, 0.5, 1.0] {
        let posterior = toml::from_str("kind = 'prior'").expect("a posterior");
        let case = Neural::of_data(EXPLODING, posterior, "source = 'lgssm'\nlength = 12\ntrain = 48");
        let objective = format!("kind = 'fivo'\nparticles = 200\nresample_below = {below}");
        for (sequence, value) in numbers(&case.values(&case.theta, &objective, 1))
            .into_iter()
            .enumerate()
        {
            assert!(value.is_finite(), "sequence {sequence}: {value}");
        }
    }
}

#[test]
fn the_gradient_of_a_filter_is_that_of_finite_differences() {
    // Of a filter that never resamples: ancestors jump with the parameters.
    let objective = "kind = 'fivo'\nparticles = 3\nresample_below = 0.0";
    let case = Neural::new(MODELS[1], amortised("family = 'filtering'"));
    let (exact, differences) = (case.gradient(objective, 1, everything), case.differences(objective, 1));
    assert!(distance(&exact, &differences) < 1e-6 * norm(&differences));
}

/// The score of the ancestors makes the gradient that of the expected value.
#[test]
fn the_score_of_the_ancestors_removes_the_bias_of_the_gradient() {
    let case = Neural::new(
        LINEAR,
        toml::from_str("kind = 'prior'\nsamples = 1").expect("a posterior"),
    );
    let objective = |gradient: &str| {
        format!("kind = 'fivo'\nparticles = 2\nresample_below = 1.0\nancestor_gradient = '{gradient}'")
    };
    let name = "emission.raw";
    let is_asked: fn(&str) -> bool = |other| other == "emission.raw";
    let step = 0.05;
    let count = 1000;
    let difference = |index: u64| {
        let nudged = |amount: f64| {
            let theta = case.theta.snapshot().expect("a copy");
            let (_, var) = theta.iter().find(|(other, _)| *other == name).expect("a parameter");
            var.set(&(var.as_tensor() + amount).expect("a sum"))
                .expect("the same shape");
            case.mean(&theta, &objective("none"), index)
        };
        (nudged(step) - nudged(-step)) / (2.0 * step)
    };
    let differences: Vec<f64> = (0..count).map(difference).collect();
    let exact = differences.iter().sum::<f64>() / f64::from(count as u32);
    let scored: Vec<Vec<f64>> = (count..3 * count)
        .map(|index| case.gradient(&objective("score"), index, is_asked))
        .collect();
    assert_unbiased(&scored, &[exact], 0.03, "with the score");
}
