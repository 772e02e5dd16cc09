//! Gradients of log p(x, z) against finite differences, for every setting of the model.

use crate::continuous::case::{Case, close, numbers, rows};
use candle_core::{DType, Tensor, Var};
use latent_lab::data::source::Widths;
use latent_lab::math::streams::Streams;
use latent_lab::model::{Latents, ModelConfig};
use latent_lab::nn::backward;

/// Every supported setting: `[model]` as an experiment file has it, the number of given columns, whether rows are binary.
pub fn settings(columns: usize, dimensions: usize) -> Vec<(String, usize, bool)> {
    let mut all = Vec::new();
    for prior in ["standard_normal", "mixture", "given_x"] {
        for (likelihood, deviation) in [
            ("gaussian", "deviation = 'shared'"),
            ("gaussian", "fixed_deviation = 0.7"),
            ("gaussian", "deviation = 'per_column'"),
            ("gaussian", "deviation = 'given_z'"),
            ("bernoulli", ""),
        ] {
            for (hidden, given) in [("[]", 0), ("[3]", 0), ("[3]", 2)] {
                let components = if prior == "mixture" { "prior_components = 3" } else { "" };
                let text = format!(
                    "kind = 'latent_gaussian'\nlatent_dimensions = {dimensions}\nprior = '{prior}'\n{components}\n\
                     likelihood = '{likelihood}'\n{deviation}\nhidden = {hidden}"
                );
                let config: ModelConfig = toml::from_str(&text).expect("a model");
                let widths = Widths {
                    observed: columns,
                    given,
                    image: None,
                };
                if config.check(widths).is_empty() {
                    all.push((text, given, likelihood == "bernoulli"));
                }
            }
        }
    }
    // Three priors, five likelihoods, three shapes; p(z|x) needs an x.
    assert_eq!(all.len(), 35);
    all
}

#[test]
fn gradients_of_the_joint_match_finite_differences() {
    const STEP: f64 = 1e-5;
    for (seed, (model, given, binary)) in settings(2, 2).into_iter().enumerate() {
        let streams = Streams::new(seed as u64);
        let case = Case::new(
            &model,
            "kind = 'importance'",
            rows(4, 2, given, binary, &streams),
            seed as u64,
        );
        let batch = case.batch();
        let value_at = |z: &Tensor| -> f64 {
            let joint = case.model.joint(&case.theta, &batch).expect("a joint");
            let values = joint.log_joint(&Latents::Continuous(z.clone())).expect("values");
            values.sum_all().and_then(|sum| sum.to_scalar()).expect("a number")
        };
        let joint = case.model.joint(&case.theta, &batch).expect("a joint");
        let drawn = joint.sample_latents(3, &mut streams.named("z").at(0)).expect("draws");
        let Latents::Continuous(z) = drawn else {
            panic!("a continuous latent")
        };
        let z = Var::from_tensor(&z).expect("a variable");
        let value = joint
            .log_joint(&Latents::Continuous(z.as_tensor().clone()))
            .expect("values");
        let gradients = backward(&value.sum_all().expect("a sum")).expect("gradients");
        let slopes = |var: &Var| -> Vec<f64> {
            let before = numbers(var.as_tensor());
            let moved = |i: usize, step: f64| {
                let mut values = before.clone();
                values[i] += step;
                let tensor = Tensor::from_vec(values, var.shape(), var.device()).expect("a tensor");
                var.set(&tensor).expect("the same shape");
                value_at(z.as_tensor())
            };
            let slopes = (0..before.len())
                .map(|i| (moved(i, STEP) - moved(i, -STEP)) / (2.0 * STEP))
                .collect();
            moved(0, 0.0);
            slopes
        };
        let analytic = |var: &Var| gradients.get(var).map_or(vec![0.0; var.elem_count()], numbers);
        close(&analytic(&z), &slopes(&z), 1e-7, &format!("{}: z", case.name));
        let theta = case.theta.without(latent_lab::posterior::POSTERIOR);
        for (name, var) in theta.iter() {
            assert_eq!(var.dtype(), DType::F64);
            assert!(
                analytic(var).iter().any(|g| g.abs() > 1e-6),
                "{}: {name} is unused",
                case.name
            );
            close(&analytic(var), &slopes(var), 1e-7, &format!("{}: {name}", case.name));
        }
    }
}

#[test]
fn the_terms_sum_to_the_joint() {
    for (seed, (model, given, binary)) in settings(2, 1).into_iter().enumerate() {
        let streams = Streams::new(seed as u64);
        let case = Case::new(
            &model,
            "kind = 'importance'",
            rows(5, 2, given, binary, &streams),
            seed as u64,
        );
        let batch = case.batch();
        let joint = case.model.joint(&case.theta, &batch).expect("a joint");
        let latents = joint.sample_latents(2, &mut streams.named("z").at(0)).expect("draws");
        let terms = joint.terms(&latents).expect("terms");
        assert_eq!(
            terms.iter().map(|term| term.0).collect::<Vec<_>>(),
            ["prior", "likelihood"]
        );
        let sum = (&terms[0].1 + &terms[1].1).expect("a sum");
        let whole = joint.log_joint(&latents).expect("values");
        close(&numbers(&sum), &numbers(&whole), 1e-12, &case.name);
        close(
            &numbers(&terms[0].1),
            &numbers(&joint.log_prior(&latents).expect("a prior")),
            0.0,
            &case.name,
        );
    }
}
