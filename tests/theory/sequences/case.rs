//! A state space with its initial values and sequences, and the quantities that tests compare.

use candle_core::{DType, Device, Tensor};
use latent_lab::data::{Batch, DataConfig, Splits};
use latent_lab::math::streams::Streams;
use latent_lab::model::{EStep, Improvement, Latents, Model, ModelConfig, Sweeps};
use latent_lab::nn::Parameters;
use latent_lab::objective::ObjectiveConfig;
use latent_lab::posterior::{Draws, PosteriorConfig};
use std::path::Path;

pub struct Case {
    /// The model's table in the experiment file.
    pub name: &'static str,
    pub model: Box<dyn Model>,
    pub theta: Parameters,
    pub splits: Splits,
    pub streams: Streams,
}

pub fn splits(data: &str) -> Splits {
    let data: DataConfig = toml::from_str(data).expect("data");
    data.load(Path::new(""), &Streams::new(5)).expect("rows")
}

impl Case {
    pub fn new((name, data): (&'static str, &str)) -> Self {
        let (splits, streams) = (splits(data), Streams::new(5));
        let config: ModelConfig = toml::from_str(name).expect("a model");
        let model = config.build(&splits.train).expect("a model");
        let theta = model
            .initial(&splits.train, &streams, 0, DType::F64, &Device::Cpu)
            .expect("initial values");
        Self {
            name,
            model,
            theta,
            splits,
            streams,
        }
    }

    pub fn batch(&self) -> Batch {
        Batch::whole(&self.splits.train, DType::F64, &Device::Cpu).expect("a batch")
    }

    /// The posteriors of all training sequences under `theta`.
    pub fn draws(&self, posterior: &str, theta: &Parameters, index: u64) -> Draws {
        let posterior: PosteriorConfig = toml::from_str(&format!("kind = {posterior}")).expect("a posterior");
        let batch = self.batch();
        let joint = self.model.joint(theta, &batch).expect("a joint");
        let generator = &mut self.streams.named("guesses").at(index);
        posterior.draws(joint.as_ref(), theta, 0, generator).expect("draws")
    }

    /// The objective's mean, in nats per step, and then its gradient.
    pub fn ascend(&self, objective: &str, posterior: &str, index: u64) -> Vec<f64> {
        let objective: ObjectiveConfig = toml::from_str(&format!("kind = '{objective}'")).expect("an objective");
        let batch = self.batch();
        let joint = self.model.joint(&self.theta, &batch).expect("a joint");
        let values = objective
            .value(joint.as_ref(), 0, || Ok(self.draws(posterior, &self.theta, index)))
            .expect("values");
        let mean = batch.mean(&values).expect("a mean");
        let gradients = mean.backward().expect("gradients");
        let all = self.theta.iter().flat_map(|(_, var)| match gradients.get(var) {
            Some(gradient) => gradient
                .flatten_all()
                .and_then(|g| g.to_vec1::<f64>())
                .expect("numbers"),
            None => vec![0.0; var.elem_count()],
        });
        std::iter::once(mean.to_scalar().expect("a number"))
            .chain(all)
            .collect()
    }

    /// Derivatives of `value` with respect to every number of θ, by central differences.
    pub fn slopes(&self, step: f64, value: &dyn Fn(&Parameters) -> f64) -> Vec<f64> {
        let mut slopes = Vec::new();
        for (name, var) in self.theta.iter() {
            for i in 0..var.elem_count() {
                let nudged = |amount: f64| {
                    let theta = self.theta.snapshot().expect("a copy");
                    let (_, var) = theta.iter().find(|(other, _)| *other == name).expect("a parameter");
                    let mut values = var.flatten_all().and_then(|v| v.to_vec1::<f64>()).expect("numbers");
                    values[i] += amount;
                    var.set(&Tensor::from_vec(values, var.shape(), &Device::Cpu).expect("a tensor"))
                        .expect("the same shape");
                    value(&theta)
                };
                slopes.push((nudged(step) - nudged(-step)) / (2.0 * step));
            }
        }
        slopes
    }

    pub fn sweeps(&self) -> Box<dyn Sweeps + '_> {
        let closed_form = self.model.closed_form().expect("a closed form");
        closed_form.sweeps(&self.splits.train).expect("sweeps")
    }

    /// One sweep of EM from `theta`, with the posteriors under it.
    pub fn improve(&self, sweeps: &dyn Sweeps, theta: &Parameters, posterior: &str, index: u64) -> Improvement {
        let draws = self.draws(posterior, theta, index);
        let Latents::Trajectories(beliefs) = &draws.latents else {
            panic!("trajectories")
        };
        let log_q = draws.total_log_q().expect("a number");
        let e_step = EStep::Trajectories { beliefs, log_q };
        sweeps.improve(theta, e_step, 1, None).expect("a sweep")
    }
}

/// Whether the mean of `estimates` of each number is its exact value, within six standard errors and a share `bias` of it.
pub fn assert_unbiased(estimates: &[Vec<f64>], exact: &[f64], bias: f64, name: &str) {
    let n = estimates.len() as f64;
    for (i, exact) in exact.iter().enumerate() {
        let mean = estimates.iter().map(|e| e[i]).sum::<f64>() / n;
        let variance = estimates.iter().map(|e| (e[i] - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let error = 6.0 * (variance / n).sqrt() + bias * exact.abs().max(1.0);
        assert!((mean - exact).abs() < error, "{name}, {i}: {mean} {exact} ± {error}");
    }
}

pub fn norm(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}

pub fn distance(a: &[f64], b: &[f64]) -> f64 {
    norm(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>())
}
