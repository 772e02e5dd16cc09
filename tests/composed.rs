//! The path that a GPU takes, on the CPU: training by composed tensor operations ends where the fused kernels end.

use latent_lab::Result;
use latent_lab::data::DataConfig;
use latent_lab::math::streams::Streams;
use latent_lab::model::ModelConfig;
use latent_lab::nn::{Parameters, with_composed};
use latent_lab::objective::ObjectiveConfig;
use latent_lab::posterior::PosteriorConfig;
use latent_lab::train::{Job, Observer, State, TrainingConfig, train};
use std::path::Path;

/// Remembers the last evaluation.
#[derive(Default)]
struct Last(Vec<(String, f64)>);

impl Observer for Last {
    fn evaluated(&mut self, _: u64, metrics: &[(String, f64)]) -> Result<()> {
        self.0 = metrics.to_vec();
        Ok(())
    }

    fn noted(&mut self, _: u64, _: &str) -> Result<()> {
        Ok(())
    }

    fn checkpoint(&mut self, _: bool, _: &dyn Fn() -> Result<State>) -> Result<()> {
        Ok(())
    }

    fn progressed(&mut self, _: u64, _: u64) {}

    fn interrupted(&self) -> bool {
        false
    }
}

fn trained(model: &str, data: &str, posterior: &str, objective: &str) -> (Parameters, Vec<(String, f64)>) {
    let streams = Streams::new(5);
    let data: DataConfig = toml::from_str(&format!("{data}\ntrain = 80\nstandardize = true")).expect("data");
    let splits = data.load(Path::new(""), &streams).expect("rows");
    let model: ModelConfig = toml::from_str(model).expect("a model");
    let model = model.build(&splits.train).expect("a model");
    let posterior: PosteriorConfig = toml::from_str(posterior).expect("a posterior");
    let objective: ObjectiveConfig = toml::from_str(objective).expect("an objective");
    let training: TrainingConfig = toml::from_str(
        "optimizer = 'adam'\nprecision = 'f64'\nsteps = 25\nbatch_size = 32\nevaluate_every = 25\ngradient_clip = 1.0\n\
         weight_decay = 0.1\naveraging = 0.9",
    )
    .expect("training");
    let job = Job {
        model: model.as_ref(),
        posterior: &posterior,
        objective: &objective,
        training: &training,
        splits: &splits,
        streams: &streams,
        threads: 1,
        bound_samples: 10,
    };
    let mut last = Last::default();
    let trained = train(&job, None, &mut last).expect("training");
    (trained.theta, last.0)
}

#[test]
fn composed_training_ends_where_fused_training_ends() {
    let mixture = "kind = 'conditional_mixture'\ncomponents = 3\nhidden = [7, 5]";
    for (model, data, posterior, objective) in [
        (
            mixture,
            "source = 'inverse_sinusoid'",
            "kind = 'exact'",
            "kind = 'marginal_likelihood'",
        ),
        (
            mixture,
            "source = 'inverse_sinusoid'",
            "kind = 'exact'",
            "kind = 'expected_log_likelihood'",
        ),
        (
            mixture,
            "source = 'tree'",
            "kind = 'sampled'\nsamples = 4",
            "kind = 'expected_log_likelihood'",
        ),
        (mixture, "source = 'tree'", "kind = 'hard'", "kind = 'elbo'"),
        (
            mixture,
            "source = 'inverse_sinusoid'",
            "kind = 'exact'",
            "kind = 'mean_squared_error'",
        ),
        (
            "kind = 'gaussian_mixture'\ncomponents = 3",
            "source = 'three_clusters'",
            "kind = 'exact'",
            "kind = 'expected_log_likelihood'",
        ),
    ] {
        let (fused, fused_metrics) = trained(model, data, posterior, objective);
        let (composed, composed_metrics) = with_composed(|| trained(model, data, posterior, objective));
        for ((name, one), (_, other)) in fused.iter().zip(composed.iter()) {
            let difference = (one.as_tensor() - other.as_tensor()).and_then(|d| d.abs()?.flatten_all()?.max(0));
            let difference: f64 = difference.and_then(|d| d.to_scalar()).expect("a number");
            assert!(difference < 1e-9, "{name} of {model} by {objective}: {difference}");
        }
        for ((name, one), (_, other)) in fused_metrics.iter().zip(&composed_metrics) {
            assert!((one - other).abs() < 1e-7 * one.abs().max(1.0), "{name}: {one} {other}");
        }
    }
}
