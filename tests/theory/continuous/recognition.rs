//! Training of a recognition network, in whole runs.

use crate::continuous::case::{mean_and_error, numbers};
use candle_core::{DType, Device};
use latent_lab::data::{Batch, DataConfig, Splits};
use latent_lab::math::linear_latent::LinearLatent;
use latent_lab::math::rows::Observations;
use latent_lab::math::streams::Streams;
use latent_lab::model::{Latents, Model, ModelConfig};
use latent_lab::nn::Parameters;
use latent_lab::objective::ObjectiveConfig;
use latent_lab::posterior::PosteriorConfig;
use latent_lab::train::{Job, Observer, TrainingConfig, train};
use std::path::Path;

struct Nobody;

impl Observer for Nobody {}

struct Trained {
    model: Box<dyn Model>,
    posterior: PosteriorConfig,
    splits: Splits,
    streams: Streams,
    theta: Parameters,
}

fn trained(model: &str, posterior: &str, objective: &str, steps: u64) -> Trained {
    trained_by(
        model,
        posterior,
        objective,
        &format!("steps = {steps}\nbatch_size = 100\nlearning_rate = 0.01"),
    )
}

fn trained_by(model: &str, posterior: &str, objective: &str, training: &str) -> Trained {
    let streams = Streams::new(11);
    let data: DataConfig = toml::from_str("source = 'gaussian_blob'\ntrain = 500\nstandardize = true").expect("data");
    let splits = data.load(Path::new(""), &streams).expect("rows");
    let model: ModelConfig = toml::from_str(model).expect("a model");
    let model = model.build(&splits.train).expect("a model");
    let posterior: PosteriorConfig = toml::from_str(posterior).expect("a posterior");
    let objective: ObjectiveConfig = toml::from_str(objective).expect("an objective");
    let training: TrainingConfig = toml::from_str(&format!(
        "optimizer = 'adam'\nprecision = 'f64'\nevaluate_every = 1000000\n{training}"
    ))
    .expect("training");
    let job = Job {
        model: model.as_ref(),
        posterior: &posterior,
        objective: &objective,
        training: &training,
        splits: &splits,
        original: &splits,
        streams: &streams,
        threads: 1,
        evaluation: &toml::from_str("bounds.samples = 2").expect("an evaluation"),
        controlled: None,
    };
    let theta = train(&job, None, &mut Nobody).expect("training").theta;
    Trained {
        model,
        posterior,
        splits,
        streams,
        theta,
    }
}

/// The gradient of θ is the same, so is that of φ, and so is all of training.
#[test]
fn reverse_kl_trains_the_same_by_either_objective() {
    let model = "kind = 'latent_gaussian'\nhidden = [5]";
    let posterior = "kind = 'amortised'\nhidden = [5]\nsamples = 2\nfit = 'reverse_kl'";
    let one = trained(model, posterior, "kind = 'expected_log_likelihood'", 20);
    let other = trained(model, posterior, "kind = 'elbo'", 20);
    for ((name, a), (_, b)) in one.theta.iter().zip(other.theta.iter()) {
        assert_eq!(numbers(a.as_tensor()), numbers(b.as_tensor()), "{name}");
    }
    // With β = 1 + ε the bound is split into likelihood and divergence, and training ends at the same place.
    let apart = trained(model, posterior, "kind = 'elbo'\nbeta = 1.000000000001", 20);
    for ((name, a), (_, b)) in one.theta.iter().zip(apart.theta.iter()) {
        crate::continuous::case::close(&numbers(a.as_tensor()), &numbers(b.as_tensor()), 1e-7, name);
    }
}

/// With the default fit, the configured bound is what φ maximises: every key of it changes the network, and the model with it.
#[test]
fn every_key_of_the_bound_reaches_the_recognition_network() {
    let model = "kind = 'latent_gaussian'\nlatent_dimensions = 3\nhidden = [5]";
    let posterior = "kind = 'amortised'\nhidden = [5]";
    let keys = [
        "",
        "beta = 0.1",
        "beta = 50.0",
        "warm_up_steps = 20",
        "free_nats = 1000.0",
        "beta = 50.0\nwarm_up_steps = 20",
    ];
    let all = keys.map(|keys| trained(model, posterior, &format!("kind = 'elbo'\n{keys}"), 20).theta);
    for (i, one) in all.iter().enumerate() {
        for (j, other) in all.iter().enumerate().take(i) {
            for name in ["posterior.0.weight", "decoder.0.weight"] {
                let weights = |theta: &Parameters| numbers(theta.get(name).expect("weights"));
                assert_ne!(weights(one), weights(other), "{name}: {:?} and {:?}", keys[i], keys[j]);
            }
        }
    }
}

/// Probabilistic principal components: training with a recognition network reaches the eigenvectors' likelihood and
/// does not exceed it.
#[test]
fn the_elbo_reaches_the_closed_form_optimum() {
    let after = trained_by(
        "kind = 'latent_gaussian'\nlatent_dimensions = 1\nhidden = []",
        "kind = 'amortised'\nhidden = []",
        "kind = 'elbo'",
        "steps = 1500\nbatch_size = 500\nlearning_rate = 0.02\nlearning_rate_schedule = 'cosine'",
    );
    let train = &after.splits.train;
    let rows = Observations::new(train.observed.view(), None, None).expect("rows");
    let optimum = LinearLatent::optimum(&rows, 1, None).expect("an optimum");
    let best = optimum.mean_log_likelihood(&rows).expect("a number");
    let batch = Batch::whole(train, DType::F64, &Device::Cpu).expect("rows");
    let joint = after.model.joint(&after.theta, &batch).expect("a joint");
    let values = numbers(&joint.log_prob().expect("values"));
    let reached = values.iter().sum::<f64>() / values.len() as f64;
    assert!(reached <= best + 1e-9 && best - reached < 1e-3, "{reached} {best}");
}

/// Sleep: log q of the model's own (x, z) rises up to −H(z|x), which only p(z|x) itself reaches.
#[test]
fn model_samples_train_the_network_to_the_true_posterior() {
    let model = "kind = 'latent_gaussian'\nlatent_dimensions = 1\nhidden = []\nfixed_deviation = 0.5";
    let posterior = "kind = 'amortised'\nhidden = []\nfit = 'forward_kl'";
    let after = trained(model, posterior, "kind = 'expected_log_likelihood'", 1500);
    let before = trained(model, posterior, "kind = 'expected_log_likelihood'", 1);
    let rows = Batch::whole(&after.splits.train, DType::F64, &Device::Cpu).expect("rows");
    let joint = after.model.joint(&after.theta, &rows).expect("a joint");
    let rng = &mut after.streams.named("test").at(0);
    let latents = joint.sample_latents(1, rng).expect("latents");
    let dreamt = Batch {
        observed: joint.sample_observed(&latents, rng).expect("rows"),
        ..rows.clone()
    };
    let joint = after.model.joint(&after.theta, &dreamt).expect("a joint");
    let log_q = |of: &Trained| {
        numbers(
            &after
                .posterior
                .log_q(joint.as_ref(), &of.theta, &latents)
                .expect("values"),
        )
    };

    let w = numbers(after.theta.get("decoder.0.weight").expect("a parameter"));
    let b = numbers(after.theta.get("decoder.0.bias").expect("a parameter"));
    let variance = 1.0 / (1.0 + w.iter().map(|w| w * w).sum::<f64>() / 0.25);
    let Latents::Continuous(z) = &latents else {
        panic!("a continuous latent")
    };
    let (x, z) = (numbers(&dreamt.observed), numbers(z));
    let log_p = x.chunks(2).zip(&z).map(|(x, z)| {
        let mean = variance
            * x.iter()
                .zip(&w)
                .zip(&b)
                .map(|((x, w), b)| w * (x - b) / 0.25)
                .sum::<f64>();
        -0.5 * ((z - mean).powi(2) / variance + (std::f64::consts::TAU * variance).ln())
    });
    let log_p: Vec<f64> = log_p.collect();
    let gap = |of: &Trained| {
        let values: Vec<f64> = log_p.iter().zip(log_q(of)).map(|(p, q)| p - q).collect();
        mean_and_error(&values)
    };
    let ((first, _), (last, error)) = (gap(&before), gap(&after));
    assert!(first > 0.1, "{first}");
    assert!(
        last.abs() < 0.03 + 6.0 * error && last < 0.3 * first,
        "{first} {last} ± {error}"
    );
}
