//! Rewards: the last columns of the observations, functions of the state and of the input of the same step.

use crate::sequences::case::{distance, norm};
use crate::sequences::neural_case::{Neural, amortised, everything, numbers};
use candle_core::Tensor;
use latent_lab::math::kalman::{Filtered, System};
use latent_lab::posterior::PosteriorConfig;
use nalgebra::{DMatrix, DVector};

/// Two observed columns, of which the second may be the reward, with an input and missing values.
const DATA: &str = "source = 'lgssm'\nlength = 6\ntrain = 40\nmissing = 0.2\nemission = [[1.0, 0.0], [0.3, 0.8]]\n\
                    emission_input = [[0.0], [0.7]]\nemission_noise = [[1.0, 0.0], [0.0, 0.5]]";

const TRANSITION: &str = "kind = 'neural_ssm'\nstates = 2\ntransition = { kind = 'linear', matrix = { fixed = [[0.8, 0.3], \
                          [-0.2, 0.6]] }, input = { fixed = [[0.5], [0.0]] }, offset = { fixed = [0.1, 0.0] } }";

#[test]
fn gradients_of_rewards_are_those_of_finite_differences() {
    let models = [
        format!("{TRANSITION}\nreward = {{ hidden = [3] }}\nemission = {{ kind = 'perceptron', hidden = [3] }}"),
        format!(
            "{TRANSITION}\nreward = {{ hidden = [3], activation = 'silu' }}\nemission = {{ kind = 'formula', formulas = ['a * \
             x1^2'], parameters = ['a'] }}"
        ),
        "kind = 'neural_ssm'\nstates = 2\nreward = { hidden = [] }\ntransition = { kind = 'recurrent', units = 3, hidden = [] }"
            .to_owned(),
    ];
    for model in models {
        for family in ["family = 'smoothing'", "family = 'initial_only'"] {
            let case = Neural::of_data(&model, amortised(family), DATA);
            let objective = "kind = 'elbo'\nfree_run = 0.3";
            let (exact, differences) = (case.gradient(objective, 0, everything), case.differences(objective, 0));
            let apart = distance(&exact, &differences) / norm(&differences);
            assert!(apart < 1e-6, "{model} {family}: {apart}");
        }
    }
}

/// A reward that is linear in x and u is an output of a linear system that sees its input, with that system's likelihood.
#[test]
fn a_linear_reward_is_an_output_that_sees_its_input() {
    let model = format!(
        "{TRANSITION}\nreward = {{ hidden = [] }}\nemission = {{ kind = 'linear', matrix = {{ fixed = [[1.5, -0.4]] }}, offset = {{ \
         fixed = [0.2] }} }}"
    );
    let posterior: PosteriorConfig = toml::from_str("kind = 'extended_kalman'").expect("a posterior");
    let case = Neural::of_data(&model, posterior, DATA);
    let moments = |field| case.train.moments(field)[..].to_vec();
    let (observed, given) = (&case.train.observed, case.train.given.as_ref().expect("inputs"));
    let (mean, variance) = moments(observed)[1].expect("values");
    let (input_mean, input_variance) = moments(given)[0].expect("values");
    let (scale, input_scale) = (variance.sqrt(), input_variance.sqrt());
    let weight = numbers(case.theta.get("reward.0.weight").expect("weights"));
    let bias = numbers(case.theta.get("reward.0.bias").expect("a bias"))[0];
    let natural = case.model.natural(&case.theta).expect("parameters");
    let own = |name: &str| numbers(&natural[name]);
    let diagonal = |name: &str| DMatrix::from_diagonal(&DVector::from_vec(own(name)));
    let through_input = scale * weight[2] / input_scale;
    let system = System {
        initial_mean: DVector::from_vec(own("initial_mean")),
        initial_covariance: diagonal("initial_variances"),
        transition: DMatrix::from_row_slice(2, 2, &[0.8, 0.3, -0.2, 0.6]),
        transition_input: DMatrix::from_row_slice(2, 1, &[0.5, 0.0]),
        transition_offset: DVector::from_vec(vec![0.1, 0.0]),
        transition_noise: diagonal("transition_variances"),
        emission: DMatrix::from_row_slice(2, 2, &[1.5, -0.4, scale * weight[0], scale * weight[1]]),
        emission_input: DMatrix::from_row_slice(2, 1, &[0.0, through_input]),
        emission_offset: DVector::from_vec(vec![0.2, mean + scale * bias - through_input * input_mean]),
        emission_noise: diagonal("emission_variances"),
    };
    let sequences = case.train.sequences().expect("sequences");
    let exact: f64 = Filtered::new(&system, &sequences)
        .expect("a filter")
        .log_likelihood()
        .iter()
        .sum();
    let bound = case.mean(&case.theta, "kind = 'elbo'", 0) * case.train.len() as f64;
    assert!((bound - exact).abs() < 1e-7 * exact.abs(), "{bound} {exact}");
}

/// Samples of rewards have the mean that the network says.
#[test]
fn sampled_rewards_depend_on_the_input() {
    let quiet = format!(
        "{TRANSITION}\nreward = {{ hidden = [4] }}\nemission = {{ kind = 'linear' }}\nemission_deviation_floor = 1e-9\n\
         emission_variances = {{ fixed = [1e-12, 1e-12] }}"
    );
    let case = Neural::of_data(&quiet, amortised("family = 'smoothing'"), DATA);
    let batch = case.batch();
    let sampled = |batch: &latent_lab::data::Batch| {
        let joint = case.model.joint(&case.theta, batch).expect("a joint");
        let ancestral = joint.ancestral().expect("samples");
        let numbers_of = || latent_lab::math::streams::Streams::new(1).named("samples").at(0);
        let latents = ancestral.sample_latents(1, &mut numbers_of()).expect("paths");
        let latents = latents.detached();
        let observed = ancestral.sample_observed(&latents, &mut numbers_of()).expect("values");
        [0, 1].map(|column| numbers(&observed.narrow(1, column, 1).expect("a column")))
    };
    // The input of the last step acts on its reward alone.
    let last = batch.lengths.as_ref().expect("sequences")[0] - 1;
    let inputs = batch.given.as_ref().expect("inputs");
    let mut moved = numbers(inputs);
    moved[last] += 1.0;
    let other = latent_lab::data::Batch {
        given: Some(Tensor::from_vec(moved, inputs.shape(), inputs.device()).expect("inputs")),
        ..batch.clone()
    };
    let ([observed, rewards], [others, other_rewards]) = (sampled(&batch), sampled(&other));
    let apart = |a: &[f64], b: &[f64]| {
        (0..a.len())
            .filter(|&at| (a[at] - b[at]).abs() > 1e-6)
            .collect::<Vec<_>>()
    };
    assert_eq!(apart(&observed, &others), Vec::<usize>::new());
    assert_eq!(apart(&rewards, &other_rewards), [last]);
}
