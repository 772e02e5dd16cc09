//! Neural state spaces: paths against the linear oracle, the families of q, and gradients against differences.

use crate::sequences::case::{Case, distance, norm};
use crate::sequences::neural_case::{
    DATA, FAMILIES, LINEAR, MODELS, Neural, amortised, everything, is_of_the_model, numbers,
};
use candle_core::{DType, Device};
use latent_lab::math::streams::Streams;
use latent_lab::model::Latents;
use latent_lab::nn::Parameters;

#[test]
fn gradients_of_every_family_are_those_of_finite_differences() {
    for family in FAMILIES {
        let case = Neural::new(MODELS[1], amortised(family));
        let (exact, differences) = (
            case.gradient("kind = 'elbo'", 1, everything),
            case.differences("kind = 'elbo'", 1),
        );
        let error = distance(&exact, &differences) / norm(&differences);
        assert!(error < 1e-6, "{family}: {error:e}");
    }
}

#[test]
fn gradients_of_every_transition_are_those_of_finite_differences() {
    for model in MODELS {
        let case = Neural::new(model, amortised("family = 'transition_noise'"));
        let (exact, differences) = (
            case.gradient("kind = 'elbo'", 1, everything),
            case.differences("kind = 'elbo'", 1),
        );
        let error = distance(&exact, &differences) / norm(&differences);
        assert!(error < 1e-6, "{model}: {error:e}");
    }
}

/// The linear model's joint at a path, drawn by the exact posterior, is that of the closed form at the same path.
#[test]
fn paths_and_beliefs_have_the_same_density_in_a_linear_model() {
    let case = Neural::new(
        LINEAR,
        toml::from_str("kind = 'sampled'\nsamples = 3").expect("a posterior"),
    );
    let batch = case.batch();
    let joint = case.model.joint(&case.theta, &batch).expect("a joint");
    let generator = &mut Streams::new(4).named("paths").at(0);
    let paths = joint.sample_latents(1, generator).expect("paths");
    let Latents::Paths(x) = &paths else { panic!("paths") };
    let system = case.model.state_space(&case.theta).expect("numbers").expect("a system");
    let values = numbers(&joint.log_joint(&paths).expect("values"));
    let (x, lengths) = (
        x.squeeze(1).expect("one sample").to_vec3::<f64>().expect("numbers"),
        &case.train.lengths,
    );
    let lengths = lengths.as_ref().expect("sequences");
    let inputs = case.train.given.as_ref().expect("inputs");
    let gauss =
        |error: f64, variance: f64| -0.5 * (error * error / variance + (2.0 * std::f64::consts::PI * variance).ln());
    let mut row = 0;
    for (b, length) in lengths.iter().enumerate() {
        let mut sum = 0.0;
        for t in 0..*length {
            let now = nalgebra::DVector::from_row_slice(&x[b][t]);
            let (mean, covariance) = match t {
                0 => (system.initial_mean.clone(), &system.initial_covariance),
                _ => {
                    let before = nalgebra::DVector::from_row_slice(&x[b][t - 1]);
                    let u = nalgebra::DVector::from_element(1, inputs.value(row - 1, 0));
                    let mean = &system.transition * before + &system.transition_input * u + &system.transition_offset;
                    (mean, &system.transition_noise)
                }
            };
            sum += (0..2).map(|d| gauss(now[d] - mean[d], covariance[(d, d)])).sum::<f64>();
            let observed = case.train.observed.value(row, 0);
            if !observed.is_nan() {
                let mean = (&system.emission * &now + &system.emission_offset)[0];
                sum += gauss(observed - mean, system.emission_noise[(0, 0)]);
            }
            row += 1;
        }
        assert!((sum - values[b]).abs() < 1e-8, "sequence {b}: {sum} {}", values[b]);
    }
}

#[test]
fn the_bound_of_the_exact_smoother_is_the_log_likelihood() {
    let case = Neural::new(LINEAR, toml::from_str("kind = 'exact'").expect("a posterior"));
    let batch = case.batch();
    let exact = numbers(
        &case
            .model
            .joint(&case.theta, &batch)
            .and_then(|joint| joint.log_prob())
            .expect("values"),
    );
    let bound = numbers(&case.values(&case.theta, "kind = 'elbo'", 0));
    assert!(distance(&exact, &bound) < 1e-8, "{exact:?} {bound:?}");
    let gradients =
        ["elbo", "marginal_likelihood"].map(|kind| case.gradient(&format!("kind = '{kind}'"), 0, everything));
    assert!(distance(&gradients[0], &gradients[1]) < 1e-8 * norm(&gradients[1]));
}

#[test]
fn the_bounds_of_every_family_lie_below_the_log_likelihood() {
    for family in FAMILIES {
        let case = Neural::new(LINEAR, amortised(family));
        let batch = case.batch();
        let exact = numbers(
            &case
                .model
                .joint(&case.theta, &batch)
                .and_then(|joint| joint.log_prob())
                .expect("values"),
        );
        let exact = exact.iter().sum::<f64>() / exact.len() as f64;
        let estimates: Vec<f64> = (0..200)
            .map(|index| case.mean(&case.theta, "kind = 'elbo'", index))
            .collect();
        let mean = estimates.iter().sum::<f64>() / 200.0;
        let variance = estimates.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 199.0;
        let error = (variance / 200.0).sqrt();
        assert!(mean < exact + 6.0 * error, "{family}: {mean} ± {error} {exact}");
        assert!(mean.is_finite() && error > 0.0);
    }
}

#[test]
fn the_importance_weighted_bound_of_one_path_is_the_lower_bound() {
    for family in FAMILIES {
        let case = Neural::new(MODELS[1], amortised(family));
        let [iwae, elbo] =
            ["iwae", "elbo"].map(|kind| numbers(&case.values(&case.theta, &format!("kind = '{kind}'"), 2)));
        assert!(distance(&iwae, &elbo) < 1e-9, "{family}: {iwae:?} {elbo:?}");
    }
}

#[test]
fn the_gradient_of_theta_is_that_of_the_lower_bound() {
    let of_model = ["initial_only", "transition"];
    // Of families whose q has no parameter of the model.
    for family in FAMILIES
        .iter()
        .filter(|family| !of_model.iter().any(|own| family.contains(own)))
    {
        let case = Neural::new(MODELS[1], amortised(family));
        let [joint, bound] = ["expected_log_likelihood", "elbo"]
            .map(|kind| case.gradient(&format!("kind = '{kind}'"), 2, is_of_the_model));
        // The reparameterised path depends on φ alone, so θ has the same gradient.
        assert!(distance(&joint, &bound) < 1e-9 * norm(&bound), "{family}");
    }
}

#[test]
fn a_case_of_sequences_is_trained_by_the_objectives_without_a_change() {
    // The same objectives as for rows, on the same joint: their values differ as the theory says.
    let case = Neural::new(LINEAR, amortised("family = 'smoothing'"));
    let mean = |objective: &str| {
        (0..50)
            .map(|index| case.mean(&case.theta, objective, index))
            .sum::<f64>()
            / 50.0
    };
    let (plain, weighted) = (mean("kind = 'elbo'"), mean("kind = 'elbo'\nbeta = 2.0"));
    assert!(weighted < plain, "KL(q ‖ p) is positive: {plain} {weighted}");
    let exact = Case::new((LINEAR, DATA));
    let batch = exact.batch();
    let likelihood = |theta: &Parameters| {
        let joint = exact.model.joint(theta, &batch).expect("a joint");
        let mean = batch.mean(&joint.log_prob().expect("values")).expect("a mean");
        mean.to_scalar::<f64>().expect("a number")
    };
    let slopes = exact.slopes(1e-5, &likelihood);
    let gradient = &exact.ascend("marginal_likelihood", "'exact'", 0)[1..];
    assert!(
        distance(gradient, &slopes) < 1e-6 * norm(&slopes),
        "{gradient:?} {slopes:?}"
    );
}

/// Noise that depends on the state does not let long paths of the initial model diverge.
#[test]
fn paths_of_initial_models_stay_bounded() {
    let transitions = [
        "kind = 'perceptron'",
        "kind = 'gated', hidden = [32]",
        "kind = 'locally_linear'",
        "kind = 'recurrent'",
    ];
    for transition in transitions {
        for noise in ["constant", "state_dependent"] {
            let model = format!(
                "kind = 'neural_ssm'\nstates = 16\ntransition = {{ {transition} }}\ntransition_noise = '{noise}'"
            );
            let data = "source = 'lgssm'\nlength = 200\ntrain = 4000";
            let case = Neural::of_data(&model, amortised("family = 'smoothing'"), data);
            let (batch, streams) = (case.batch(), Streams::new(3));
            let theta = case.model.initial(&case.train, &streams, 0, DType::F64, &Device::Cpu);
            let theta = theta.expect("initial values");
            let joint = case.model.joint(&theta, &batch).expect("a joint");
            let generator = &mut streams.named("paths").at(0);
            let Latents::Paths(paths) = joint.sample_latents(1, generator).expect("paths") else {
                panic!("paths")
            };
            let largest = numbers(&paths).into_iter().map(f64::abs).fold(0.0, f64::max);
            assert!(largest < 100.0, "{transition}, {noise}: {largest:e}");
        }
    }
}
