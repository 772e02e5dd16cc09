//! A neural state space with its data, its posterior and its parameters, as the tests of this folder use it.

use crate::sequences::case::splits;
use candle_core::{DType, Device, Tensor};
use latent_lab::data::{Batch, Dataset};
use latent_lab::math::streams::Streams;
use latent_lab::model::{Model, ModelConfig};
use latent_lab::nn::{Parameters, backward};
use latent_lab::objective::ObjectiveConfig;
use latent_lab::posterior::PosteriorConfig;

pub const DATA: &str = "source = 'lgssm'\nlength = 6\ntrain = 40\nmissing = 0.2";

pub const LINEAR: &str =
    "kind = 'neural_ssm'\nstates = 2\ntransition = { kind = 'linear' }\nemission = { kind = 'linear' }";

/// Every form of transition and emission.
pub const MODELS: &[&str] = &[
    LINEAR,
    "kind = 'neural_ssm'\nstates = 2\ntransition = { kind = 'perceptron', hidden = [3] }\nemission = { kind = 'perceptron', \
     hidden = [3] }",
    "kind = 'neural_ssm'\nstates = 2\ntransition = { kind = 'perceptron', hidden = [3], residual = false }\n\
     transition_noise = 'state_dependent'\nemission_noise = 'state_dependent'",
    "kind = 'neural_ssm'\nstates = 2\ntransition = { kind = 'gated', hidden = [3], activation = 'tanh' }\nemission = { kind = 'linear' }",
    "kind = 'neural_ssm'\nstates = 2\ntransition = { kind = 'gated', hidden = [3], activation = 'tanh' }\ntransition_noise = 'state_dependent'",
    "kind = 'neural_ssm'\nstates = 2\ntransition = { kind = 'locally_linear', matrices = 3, hidden = [3] }",
    "kind = 'neural_ssm'\nstates = 2\ntransition = { kind = 'recurrent', units = 3, hidden = [3] }",
    "kind = 'neural_ssm'\nstates = 2\ntransition = { kind = 'recurrent', units = 3, hidden = [] }\n\
     transition_noise = 'state_dependent'\nemission.kind = 'linear'",
    "kind = 'neural_ssm'\nstates = 2\ntransition = { kind = 'formula', formulas = ['a * sin(x1) + u1', 'x2 * b + tanh(x1)'], \
     parameters = ['a', 'b'] }\nemission = { kind = 'formula', formulas = ['c * x1^2 + x2'], parameters = ['c'] }",
    "kind = 'neural_ssm'\nstates = 2\ntransition = { kind = 'locally_linear', matrices = 3, hidden = [3] }\n\
     transition_noise = 'state_dependent'",
];

/// Every family with what it may see.
pub const FAMILIES: &[&str] = &[
    "family = 'single_step'",
    "family = 'mean_field'\nsees = 'all'",
    "family = 'mean_field'\nsees = 'past'",
    "family = 'filtering'",
    "family = 'filtering'\nsees_transition = true",
    "family = 'smoothing'\nsees = 'future'",
    "family = 'smoothing'\nsees_transition = true",
    "family = 'smoothing'\nsees = 'all'",
    "family = 'initial_only'",
    "family = 'initial_only'\nsees = 'own'",
    "family = 'transition_noise'",
    "family = 'transition_noise'\nsees = 'past'",
];

/// A model with initial values of θ and φ that are moved by noise, so that no gradient is zero by accident.
pub struct Neural {
    pub model: Box<dyn Model>,
    pub posterior: PosteriorConfig,
    pub train: Dataset,
    pub theta: Parameters,
}

pub fn amortised(family: &str) -> PosteriorConfig {
    let text = format!("kind = 'amortised'\nhidden = [3]\nrecurrent_units = 3\n{family}");
    toml::from_str(&text).expect("a posterior")
}

impl Neural {
    pub fn new(model: &str, posterior: PosteriorConfig) -> Self {
        Self::of_data(model, posterior, DATA)
    }

    pub fn of_data(model: &str, posterior: PosteriorConfig, data: &str) -> Self {
        let (train, streams) = (splits(data).train, Streams::new(3));
        let config: ModelConfig = toml::from_str(model).expect("a model");
        let model = config.build(&train).expect("a model");
        let train = model.reduced(&train).expect("rows").unwrap_or(train);
        let (dtype, device) = (DType::F64, Device::Cpu);
        let mut theta = model
            .initial(&train, &streams, 0, dtype, &device)
            .expect("initial values");
        posterior
            .initial(model.as_ref(), &train, &streams, &mut theta)
            .expect("initial values");
        for (number, (_, var)) in theta.iter().enumerate() {
            let noise = latent_lab::nn::normal(streams.named("noise").at(number as u64), var.shape(), dtype, &device);
            let moved = (var.as_tensor() + (noise.expect("noise") * 0.1).expect("noise")).expect("a sum");
            var.set(&moved).expect("the same shape");
        }
        Self {
            model,
            posterior,
            train,
            theta,
        }
    }

    pub fn batch(&self) -> Batch {
        Batch::whole(&self.train, DType::F64, &Device::Cpu).expect("a batch")
    }

    /// The objective of every sequence, with the random numbers of `index`.
    pub fn values(&self, theta: &Parameters, objective: &str, index: u64) -> Tensor {
        let objective: ObjectiveConfig = toml::from_str(objective).expect("an objective");
        let batch = self.batch();
        let joint = self.model.joint(theta, &batch).expect("a joint");
        let generator = &mut Streams::new(9).named("draws").at(index);
        let draws = || self.posterior.draws(joint.as_ref(), theta, 0, generator);
        objective.value(joint.as_ref(), 0, draws).expect("values")
    }

    pub fn mean(&self, theta: &Parameters, objective: &str, index: u64) -> f64 {
        let values = self.values(theta, objective, index).to_vec1::<f64>().expect("numbers");
        values.iter().sum::<f64>() / values.len() as f64
    }

    /// The gradient of the mean in all parameters of which `is_asked`.
    pub fn gradient(&self, objective: &str, index: u64, is_asked: fn(&str) -> bool) -> Vec<f64> {
        let mean = self.values(&self.theta, objective, index).mean(0).expect("a mean");
        let gradients = backward(&mean).expect("gradients");
        let asked = self.theta.iter().filter(|(name, _)| is_asked(name));
        asked
            .flat_map(|(_, var)| match gradients.get(var) {
                Some(gradient) => gradient
                    .flatten_all()
                    .and_then(|g| g.to_vec1::<f64>())
                    .expect("numbers"),
                None => vec![0.0; var.elem_count()],
            })
            .collect()
    }

    /// The same by central differences.
    pub fn differences(&self, objective: &str, index: u64) -> Vec<f64> {
        self.differences_of(objective, index, everything)
    }

    /// The same in the parameters of which `is_asked`.
    pub fn differences_of(&self, objective: &str, index: u64, is_asked: fn(&str) -> bool) -> Vec<f64> {
        let mut all = Vec::new();
        for (name, var) in self.theta.iter().filter(|(name, _)| is_asked(name)) {
            for i in 0..var.elem_count() {
                let nudged = |amount: f64| {
                    let theta = self.theta.snapshot().expect("a copy");
                    let (_, var) = theta.iter().find(|(other, _)| *other == name).expect("a parameter");
                    let mut values = var.flatten_all().and_then(|v| v.to_vec1::<f64>()).expect("numbers");
                    values[i] += amount;
                    var.set(&Tensor::from_vec(values, var.shape(), &Device::Cpu).expect("a tensor"))
                        .expect("the same shape");
                    self.mean(&theta, objective, index)
                };
                all.push((nudged(1e-6) - nudged(-1e-6)) / 2e-6);
            }
        }
        all
    }
}

pub fn numbers(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.to_dtype(DType::F64).and_then(|tensor| tensor.flatten_all());
    flat.and_then(|flat| flat.to_vec1()).expect("numbers")
}

pub fn everything(_: &str) -> bool {
    true
}

pub fn is_of_the_model(name: &str) -> bool {
    !name.starts_with("posterior.")
}
