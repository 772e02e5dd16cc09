//! The theory as tests, over every kind of model: the identities of the expected log-likelihood.

use candle_core::{DType, Device};
use latent_lab::data::{Batch, Splits};
use latent_lab::math::streams::Streams;
use latent_lab::model::{EStep, Latent, Latents, Model, ModelConfig};
use latent_lab::nn::{Parameters, backward, normal};
use latent_lab::objective::ObjectiveConfig;
use latent_lab::posterior::PosteriorConfig;
use std::path::Path;

/// Every kind and setting of model with a source that fits it: `[model]` and `[data]` as an experiment file has them.
const MODELS: &[(&str, &str)] = &[
    ("kind = 'gaussian'", "source = 'gaussian_blob'"),
    ("kind = 'gaussian'\ncovariance = 'diagonal'", "source = 'gaussian_blob'"),
    ("kind = 'linear_gaussian'", "source = 'linear_gaussian'"),
    ("kind = 'gaussian_mixture'\ncomponents = 4", "source = 'three_clusters'"),
    (
        "kind = 'gaussian_mixture'\ncomponents = 4\ncovariance = 'tied'",
        "source = 'three_clusters'",
    ),
    (
        "kind = 'gaussian_mixture'\ncomponents = 4\ncovariance = 'diagonal'",
        "source = 'three_clusters'",
    ),
    (
        "kind = 'gaussian_mixture'\ncomponents = 4\ncovariance = 'spherical'",
        "source = 'three_clusters'",
    ),
    (
        "kind = 'conditional_mixture'\ncomponents = 3\nhidden = [8]",
        "source = 'inverse_sinusoid'",
    ),
    (
        "kind = 'conditional_mixture'\ncomponents = 3\nhidden = [8]\ncovariance = 'full'",
        "source = 'inverse_sinusoid'",
    ),
    (
        "kind = 'conditional_mixture'\ncomponents = 3\nhidden = [8, 8]\nprior = 'marginal'",
        "source = 'inverse_sinusoid'",
    ),
    (
        "kind = 'conditional_mixture'\ncomponents = 3\nhidden = [8]\nlikelihood = 'latent_only'",
        "source = 'inverse_sinusoid'",
    ),
    (
        "kind = 'conditional_mixture'\ncomponents = 3\nhidden = []\nprior = 'marginal'\ndeviation = 'constant'",
        "source = 'inverse_sinusoid'",
    ),
    (
        "kind = 'conditional_mixture'\ncomponents = 1\nhidden = [8]",
        "source = 'tree'",
    ),
    (
        "kind = 'latent_gaussian'\nlatent_dimensions = 1\nhidden = []",
        "source = 'three_clusters'",
    ),
    (
        "kind = 'latent_gaussian'\nlatent_dimensions = 2\nhidden = []\ndeviation = 'per_column'",
        "source = 'three_clusters'",
    ),
    (
        "kind = 'latent_gaussian'\nlatent_dimensions = 1\nhidden = []\nfixed_deviation = 0.5",
        "source = 'tree'",
    ),
];

struct Case {
    name: String,
    model: Box<dyn Model>,
    theta: Parameters,
    splits: Splits,
    streams: Streams,
}

/// Every model with perturbed initial parameters in f64.
fn cases() -> impl Iterator<Item = Case> {
    MODELS.iter().enumerate().map(|(number, (model, data))| {
        let streams = Streams::new(number as u64);
        let config: ModelConfig = toml::from_str(model).expect("a model");
        let data: latent_lab::data::DataConfig = toml::from_str(&format!("{data}\ntrain = 60")).expect("data");
        let splits = data.load(Path::new(""), &streams).expect("rows");
        let model = config.build(&splits.train).expect("a model for the rows");
        let theta = model
            .initial(&splits.train, &streams, 0, DType::F64, &Device::Cpu)
            .expect("first parameters");
        let noise = &mut streams.named("noise").at(0);
        for (_, var) in theta.iter() {
            let noise = normal(&mut *noise, var.shape(), DType::F64, &Device::Cpu).expect("noise");
            let moved = (noise * 0.2).and_then(|noise| var.as_tensor() + noise).expect("a sum");
            var.set(&moved).expect("the same shape");
        }
        Case {
            name: format!("{config:?}"),
            model,
            theta,
            splits,
            streams,
        }
    })
}

fn is_finite(case: &Case) -> bool {
    matches!(case.model.latent(), Latent::Finite(_))
}

fn objective(text: &str) -> ObjectiveConfig {
    toml::from_str(text).expect("an objective")
}

fn posterior(text: &str) -> PosteriorConfig {
    toml::from_str(text).expect("a posterior")
}

/// The objective's mean over the training rows and its gradient, all parameters in one row.
fn value_and_gradient(
    case: &Case,
    objective: &ObjectiveConfig,
    posterior: &PosteriorConfig,
    index: u64,
) -> (f64, Vec<f64>) {
    let rows = Batch::whole(&case.splits.train, DType::F64, &Device::Cpu).expect("rows");
    let joint = case.model.joint(&case.theta, &rows).expect("a joint");
    let generator = &mut case.streams.named("guesses").at(index);
    let values = objective
        .value(joint.as_ref(), 0, || {
            posterior.draws(joint.as_ref(), &case.theta, 0, generator)
        })
        .expect("values");
    let mean = rows.mean(&values).expect("a mean");
    let gradients = backward(&mean).expect("gradients");
    let gradient = case.theta.iter().flat_map(|(_, var)| match gradients.get(var) {
        Some(gradient) => gradient
            .flatten_all()
            .and_then(|g| g.to_vec1::<f64>())
            .expect("numbers"),
        None => vec![0.0; var.elem_count()],
    });
    (mean.to_scalar().expect("a number"), gradient.collect())
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    norm(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>())
}

#[test]
fn fisher_the_gradient_of_the_exact_expected_log_likelihood_is_that_of_the_marginal_likelihood() {
    let (marginal, expected) = (
        objective("kind = 'marginal_likelihood'"),
        objective("kind = 'expected_log_likelihood'"),
    );
    for case in cases() {
        let exact = PosteriorConfig::default();
        let (_, one) = value_and_gradient(&case, &marginal, &exact, 0);
        let (_, other) = value_and_gradient(&case, &expected, &exact, 0);
        assert!(norm(&one) > 1e-3, "{}: nothing to compare", case.name);
        assert!(
            distance(&one, &other) <= 1e-5 * norm(&one),
            "{}: {one:?} {other:?}",
            case.name
        );
    }
}

#[test]
fn the_gradient_of_the_marginal_likelihood_matches_finite_differences() {
    let marginal = objective("kind = 'marginal_likelihood'");
    let exact = PosteriorConfig::default();
    for case in cases() {
        let (_, gradient) = value_and_gradient(&case, &marginal, &exact, 0);
        // The directional derivative along the gradient, by central differences, is the gradient's norm.
        let step = 1e-5 / norm(&gradient);
        let moved = |sign: f64| {
            let theta = case.theta.snapshot().expect("a copy");
            let mut at = 0;
            for (_, var) in theta.iter() {
                let n = var.elem_count();
                let direction = candle_core::Tensor::from_slice(&gradient[at..at + n], var.shape(), &Device::Cpu);
                let change = (direction.expect("a direction") * (sign * step)).expect("a change");
                var.set(&(var.as_tensor() + change).expect("a sum"))
                    .expect("the same shape");
                at += n;
            }
            let rows = Batch::whole(&case.splits.train, DType::F64, &Device::Cpu).expect("rows");
            let values = case
                .model
                .joint(&theta, &rows)
                .and_then(|joint| joint.log_prob())
                .expect("values");
            rows.mean(&values)
                .and_then(|mean| Ok(mean.to_scalar::<f64>()?))
                .expect("a number")
        };
        let slope = (moved(1.0) - moved(-1.0)) / (2.0 * step * norm(&gradient));
        assert!(
            (slope - norm(&gradient)).abs() < 1e-6 * norm(&gradient),
            "{}: {slope}",
            case.name
        );
    }
}

#[test]
fn with_the_exact_posterior_the_elbo_is_the_log_likelihood() {
    let (marginal, elbo) = (objective("kind = 'marginal_likelihood'"), objective("kind = 'elbo'"));
    for case in cases() {
        let exact = PosteriorConfig::default();
        let (one, _) = value_and_gradient(&case, &marginal, &exact, 0);
        let (other, _) = value_and_gradient(&case, &elbo, &exact, 0);
        assert!(
            (one - other).abs() < 1e-10 * one.abs().max(1.0),
            "{}: {one} {other}",
            case.name
        );
    }
}

#[test]
fn with_any_other_posterior_the_elbo_is_the_log_likelihood_less_the_divergence() {
    let elbo = objective("kind = 'elbo'");
    let marginal = objective("kind = 'marginal_likelihood'");
    let tempered = posterior("kind = 'exact'\ntemperature = 2.5");
    for case in cases() {
        let rows = Batch::whole(&case.splits.train, DType::F64, &Device::Cpu).expect("rows");
        let joint = case.model.joint(&case.theta, &rows).expect("a joint");
        let log = |posterior: &PosteriorConfig| {
            let draws = posterior
                .draws(joint.as_ref(), &case.theta, 0, &mut case.streams.named("guesses").at(0))
                .expect("draws");
            draws
                .log_q()
                .expect("a known q")
                .flatten_all()
                .and_then(|q| q.to_vec1::<f64>())
                .expect("numbers")
        };
        let (q, p) = (log(&tempered), log(&PosteriorConfig::default()));
        let divergence = q.iter().zip(&p).map(|(q, p)| q.exp() * (q - p)).sum::<f64>() / rows.len() as f64;
        let (bound, _) = value_and_gradient(&case, &elbo, &tempered, 0);
        let (exact, _) = value_and_gradient(&case, &marginal, &PosteriorConfig::default(), 0);
        assert!(
            (bound - (exact - divergence)).abs() < 1e-9 * exact.abs().max(1.0),
            "{}",
            case.name
        );
    }
}

/// Probability, value and gradient of one posterior sample.
type Cell = (f64, f64, Vec<f64>);
/// Value and gradient of one estimate.
type Estimate = (f64, Vec<f64>);

/// Values and gradients of `log p(x_i, z)` for every row and z, with the probability of z: `[row][z]`.
fn enumerate(case: &Case) -> Vec<Vec<Cell>> {
    let rows = Batch::whole(&case.splits.train, DType::F64, &Device::Cpu).expect("rows");
    let joint = case.model.joint(&case.theta, &rows).expect("a joint");
    let all = joint.log_joint(&Latents::All).expect("values"); // [B, K]
    let (count, components) = all.dims2().expect("a table");
    let log_prob = joint.log_prob().and_then(|l| Ok(l.to_vec1::<f64>()?)).expect("numbers");
    let one = |i: usize, z: usize| {
        let value = all
            .narrow(0, i, 1)
            .and_then(|row| row.narrow(1, z, 1))
            .and_then(|v| v.sum_all())
            .expect("a value");
        let gradients = backward(&value).expect("gradients");
        let gradient = case.theta.iter().flat_map(|(_, var)| match gradients.get(var) {
            Some(gradient) => gradient
                .flatten_all()
                .and_then(|g| g.to_vec1::<f64>())
                .expect("numbers"),
            None => vec![0.0; var.elem_count()],
        });
        let value: f64 = value.to_scalar().expect("a number");
        ((value - log_prob[i]).exp(), value, gradient.collect())
    };
    (0..count)
        .map(|i| (0..components).map(|z| one(i, z)).collect())
        .collect()
}

#[test]
fn posterior_samples_are_unbiased_in_value_and_gradient() {
    const REPEATS: u64 = 400;
    const SAMPLES: f64 = 3.0;
    let expected = objective("kind = 'expected_log_likelihood'");
    let sampled = posterior("kind = 'sampled'\nsamples = 3");
    for case in cases().filter(is_finite) {
        let estimates: Vec<Estimate> = (0..REPEATS)
            .map(|index| value_and_gradient(&case, &expected, &sampled, index))
            .collect();
        let table = enumerate(&case);
        // Mean and standard error of the estimates' mean by enumeration: rare samples with large gradients would make
        // an estimated error too small.
        let compare = |exact: &dyn Fn(&Cell) -> f64, estimate: &dyn Fn(&Estimate) -> f64, what: &str| {
            let (mut mean, mut variance) = (0.0, 0.0);
            for row in &table {
                let row_mean: f64 = row.iter().map(|cell| cell.0 * exact(cell)).sum();
                mean += row_mean / table.len() as f64;
                variance += row
                    .iter()
                    .map(|cell| cell.0 * (exact(cell) - row_mean).powi(2))
                    .sum::<f64>();
            }
            let error = (variance / SAMPLES / REPEATS as f64).sqrt() / table.len() as f64;
            let found = estimates.iter().map(estimate).sum::<f64>() / REPEATS as f64;
            assert!(
                (found - mean).abs() <= 6.0 * error + 1e-9 * mean.abs().max(1.0),
                "{}: {what}",
                case.name
            );
        };
        compare(&|cell| cell.1, &|estimate| estimate.0, "value");
        for i in 0..table[0][0].2.len() {
            compare(&|cell| cell.2[i], &|estimate| estimate.1[i], "gradient");
        }
    }
}

#[test]
fn draws_from_a_gaussian_posterior_are_unbiased_in_value_and_gradient() {
    const REPEATS: u64 = 2000;
    let expected = objective("kind = 'expected_log_likelihood'");
    let sampled = posterior("kind = 'sampled'\nsamples = 2");
    let mut seen = 0;
    for case in cases().filter(|case| !is_finite(case)) {
        seen += 1;
        let all = |(value, gradient): Estimate| [vec![value], gradient].concat();
        let exact = all(value_and_gradient(&case, &expected, &PosteriorConfig::default(), 0));
        let estimates: Vec<Vec<f64>> = (0..REPEATS)
            .map(|index| all(value_and_gradient(&case, &expected, &sampled, index)))
            .collect();
        for (i, exact) in exact.iter().enumerate() {
            let n = REPEATS as f64;
            let mean = estimates.iter().map(|e| e[i]).sum::<f64>() / n;
            let variance = estimates.iter().map(|e| (e[i] - mean).powi(2)).sum::<f64>() / n;
            let error = (variance / n).sqrt();
            assert!(
                (mean - exact).abs() <= 6.0 * error + 1e-10,
                "{}: {i}: {mean} {exact} {error}",
                case.name
            );
        }
    }
    assert!(seen >= 3, "every Gaussian posterior is tested");
}

#[test]
fn probabilistic_principal_components_reach_their_closed_form_optimum() {
    let case = cases().find(|case| !is_finite(case)).expect("a linear latent variable");
    let train = &case.splits.train;
    let rows = latent_lab::math::rows::Observations::new(train.observed.view(), None, None).expect("rows");
    let optimum = latent_lab::math::linear_latent::LinearLatent::optimum(&rows, 1, None).expect("an optimum");
    let best = optimum.mean_log_likelihood(&rows).expect("a number");
    let sweeps = case
        .model
        .closed_form()
        .expect("a closed form")
        .sweeps(train)
        .expect("sweeps");
    let mut theta = case.theta.snapshot().expect("a copy");
    for _ in 0..500 {
        theta = sweeps.improve(&theta, EStep::Exact, 1, None).expect("a sweep").theta;
    }
    let batch = Batch::whole(train, DType::F64, &Device::Cpu).expect("rows");
    let values = case
        .model
        .joint(&theta, &batch)
        .and_then(|joint| joint.log_prob())
        .expect("values");
    let reached: f64 = batch
        .mean(&values)
        .and_then(|mean| Ok(mean.to_scalar()?))
        .expect("a number");
    assert!((reached - best).abs() < 1e-9, "{reached} {best}");
}

#[test]
fn em_never_lowers_the_log_likelihood() {
    let mut seen = 0;
    for case in cases() {
        let Some(closed_form) = case.model.closed_form() else {
            continue;
        };
        seen += 1;
        let sweeps = closed_form.sweeps(&case.splits.train).expect("sweeps");
        let mut theta = case.theta.snapshot().expect("a copy");
        let mut before = f64::NEG_INFINITY;
        for sweep in 0..60 {
            let rng = &mut case.streams.named("reseed").at(sweep);
            let improvement = sweeps.improve(&theta, EStep::Exact, 1, Some(rng)).expect("a sweep");
            let value = improvement.log_likelihood.expect("exact");
            assert!(
                value >= before - 1e-9 * value.abs(),
                "{}: {before} then {value}",
                case.name
            );
            before = if improvement.events.is_empty() {
                value
            } else {
                f64::NEG_INFINITY
            };
            theta = improvement.theta;
        }
    }
    assert!(seen >= 8, "every closed form is tested");
}

#[test]
fn the_bound_of_a_sweep_is_the_log_likelihood_if_the_posterior_is_exact_and_below_it_otherwise() {
    for case in cases() {
        let Some(closed_form) = case.model.closed_form() else {
            continue;
        };
        let Latent::Finite(components) = case.model.latent() else {
            continue;
        };
        let sweeps = closed_form.sweeps(&case.splits.train).expect("sweeps");
        let rng = &mut case.streams.named("reseed").at(0);
        let exact = sweeps
            .improve(&case.theta, EStep::Exact, 1, Some(rng))
            .expect("a sweep");
        let value = exact.log_likelihood.expect("exact");
        assert!((value - exact.lower_bound).abs() < 1e-9 * value.abs(), "{}", case.name);
        let blind = vec![1.0 / components as f64; case.splits.train.len() * components];
        let blind = sweeps
            .improve(&case.theta, EStep::Responsibilities(&blind), 1, Some(rng))
            .expect("a sweep");
        assert!(
            blind.lower_bound <= blind.log_likelihood.expect("exact") + 1e-9,
            "{}",
            case.name
        );
    }
}

#[test]
fn weights_are_repetitions() {
    let expected = objective("kind = 'expected_log_likelihood'");
    for mut case in cases() {
        let rows = case.splits.train.len();
        // Rows 0, 1, 2 … count 0, 1, 2, 0, 1, 2 … times.
        let repeated: Vec<usize> = (0..rows).flat_map(|i| std::iter::repeat_n(i, i % 3)).collect();
        let twice = case.splits.train.select(&repeated);
        case.splits.train.weights = Some((0..rows).map(|i| (i % 3) as f64).collect());
        let (weighted, weighted_gradient) = value_and_gradient(&case, &expected, &PosteriorConfig::default(), 0);
        case.splits.train = twice;
        let (plain, gradient) = value_and_gradient(&case, &expected, &PosteriorConfig::default(), 0);
        assert!((weighted - plain).abs() < 1e-10 * plain.abs().max(1.0), "{}", case.name);
        assert!(
            distance(&weighted_gradient, &gradient) < 1e-9 * norm(&gradient).max(1.0),
            "{}",
            case.name
        );
    }
}
