//! Bare training steps of a mixture density network, one thread per seed: no evaluation, no records.
//!
//! 4 → h → h → (5 components × 2 dimensions), tanh, Adam on the exact marginal likelihood, f32. The file holds the rows
//! `x` `[N, 4]`, `y` `[N, 2]`, and every seed's initial `weight.i` `[S, I, O]`, `bias.i` `[S, O]`; step t sees the rows
//! from `(t mod N/B) B` on.

use crate::{array, pool};
use candle_core::{Tensor, npy::NpzTensors};
use latent_lab::nn::{
    Activation, Adam, AdamSettings, ConditionalCovariance, Head, MixtureShape, Parameters, Perceptron, backward, mean,
    mixture_log_prob,
};
use latent_lab::{Error, Result};
use rayon::prelude::*;
use serde_json::{Value, json};
use std::{path::PathBuf, time::Instant};

const MIXTURE: MixtureShape = MixtureShape {
    components: 5,
    dimension: 2,
    covariance: ConditionalCovariance::Diagonal,
    deviation_floor: 1e-3,
};

#[derive(serde::Deserialize)]
pub struct Request {
    file: PathBuf,
    batch: usize,
    hidden: usize,
    steps: usize,
    threads: usize,
}

impl Request {
    /// The seconds of all steps of all seeds, and the losses before each step, `[S, steps]`.
    pub fn answer(&self) -> Result<Value> {
        let file = NpzTensors::new(&self.file)?;
        let batches = Batches::new(&array(&file, "x")?, &array(&file, "y")?, self.batch)?;
        let (weights, biases) = (arrays(&file, "weight")?, arrays(&file, "bias")?);
        let runs = (0..weights[0].dim(0)?).map(|seed| Run::new(self.hidden, seed, &weights, &biases));
        let runs = runs.collect::<Result<Vec<_>>>()?;
        let pool = pool(self.threads)?;
        let start = Instant::now();
        let losses: Result<Vec<_>> = pool.install(|| {
            let runs = runs.into_par_iter().with_max_len(1);
            runs.map(|run| run.train(&batches, self.steps)).collect()
        });
        let seconds = start.elapsed().as_secs_f64();
        Ok(json!({ "seconds": seconds, "losses": losses? }))
    }
}

fn arrays(file: &NpzTensors, name: &str) -> Result<Vec<Tensor>> {
    (0..3).map(|layer| array(file, &format!("{name}.{layer}"))).collect()
}

/// The rows, cut into batches.
struct Batches(Vec<(Tensor, Tensor)>);

impl Batches {
    fn new(x: &Tensor, y: &Tensor, size: usize) -> Result<Self> {
        let starts = (0..x.dim(0)? / size).map(|i| i * size);
        let batches = starts.map(|start| Ok((x.narrow(0, start, size)?, y.narrow(0, start, size)?)));
        batches.collect::<Result<_>>().map(Self)
    }
}

/// One seed's network and optimiser.
struct Run {
    network: Perceptron,
    parameters: Parameters,
    adam: Adam,
}

impl Run {
    fn new(hidden: usize, seed: usize, weights: &[Tensor], biases: &[Tensor]) -> Result<Self> {
        let network = Perceptron::new(4, &[hidden, hidden], MIXTURE.columns(), Activation::Tanh)?;
        let mut parameters = Parameters::new();
        for (layer, (weight, bias)) in weights.iter().zip(biases).enumerate() {
            parameters.insert(format!("network.{layer}.weight"), &weight.get(seed)?)?;
            parameters.insert(format!("network.{layer}.bias"), &bias.get(seed)?)?;
        }
        let adam = Adam::new(&parameters, AdamSettings::default())?;
        Ok(Self {
            network,
            parameters,
            adam,
        })
    }

    fn train(mut self, batches: &Batches, steps: usize) -> Result<Vec<f32>> {
        let mut losses = Vec::with_capacity(steps);
        for (x, y) in batches.0.iter().cycle().take(steps) {
            let values = self.network.forward(&self.parameters, "network", x)?; // [B, 25]
            let [logits, means, scales] = [0, 5, 15].map(|offset| Head {
                values: &values,
                offset,
            });
            let log_prob = mixture_log_prob(y, logits, means, scales, &MIXTURE)?; // [B]
            let loss = mean(&log_prob)?.neg()?;
            losses.push(loss.to_scalar()?);
            let norm = self.adam.step(&self.parameters, &backward(&loss)?, 1e-3, None)?;
            if !norm.is_finite() {
                return Err(Error::Other(format!(
                    "the gradient's norm is {norm} after {} steps",
                    losses.len()
                )));
            }
        }
        Ok(losses)
    }
}
