//! Bare training steps of a variational autoencoder of binary images, one thread per seed: no evaluation, no records.
//!
//! Encoder 64 → h → h → 2 Z, decoder Z → h → h → 64 logits, tanh, Adam on the evidence lower bound with one
//! reparameterised draw, f32. The file holds the images `x` `[N, 64]`, 0 and 1, and every seed's initial
//! `decoder.weight.i` `[S, I, O]`, `decoder.bias.i` `[S, O]` and the encoder's (`posterior.*`); step t sees the rows from
//! `(t mod N/B) B` on.

use crate::{array, pool};
use candle_core::{DType, Tensor, npy::NpzTensors};
use latent_lab::data::{Batch, Dataset, Table};
use latent_lab::math::streams::{Stream, Streams};
use latent_lab::model::Model;
use latent_lab::model::latent_gaussian::{LatentGaussian, LatentGaussianModel, Likelihood};
use latent_lab::nn::{Adam, AdamSettings, Parameters, backward};
use latent_lab::objective::{Elbo, ObjectiveConfig};
use latent_lab::posterior::{PosteriorConfig, amortised::Amortised};
use latent_lab::{Error, Result};
use rand::RngExt;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use serde_json::{Value, json};
use std::{path::PathBuf, time::Instant};

const LAYERS: usize = 3;

#[derive(serde::Deserialize)]
pub struct Request {
    file: PathBuf,
    batch: usize,
    latent: usize,
    hidden: usize,
    steps: usize,
    threads: usize,
    /// Whether to answer with the noise of every draw.
    #[serde(default)]
    noise: bool,
}

impl Request {
    /// The seconds of all steps of all seeds, the losses before each step, `[S, steps]`, and the noise, `[S, steps, B, Z]`.
    pub fn answer(&self) -> Result<Value> {
        let file = NpzTensors::new(&self.file)?;
        let x = array(&file, "x")?;
        let values = x.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
        let data = Dataset {
            observed: Table::new(values, x.dim(1)?).into(),
            ..Dataset::default()
        };
        let hidden = vec![self.hidden, self.hidden];
        let config = LatentGaussian {
            latent_dimensions: self.latent,
            likelihood: Likelihood::Bernoulli,
            hidden: hidden.clone(),
            ..LatentGaussian::default()
        };
        let model = config.build(&data)?;
        let posterior = PosteriorConfig::new(Amortised {
            hidden,
            ..Amortised::default()
        })?;
        let starts = (0..x.dim(0)? / self.batch).map(|i| i * self.batch);
        let batches = starts.map(|start| {
            Ok(Batch {
                observed: x.narrow(0, start, self.batch)?,
                given: None,
                weights: None,
                lengths: None,
            })
        });
        let batches = batches.collect::<Result<Vec<_>>>()?;
        let initial = Initial::new(&file)?;
        let runs = (0..initial.seeds()?).map(|seed| Run::new(&model, &posterior, seed, &initial));
        let runs = runs.collect::<Result<Vec<_>>>()?;
        let noise = self
            .noise
            .then(|| runs.iter().map(|run| self.noise_of(&run.guesses)).collect::<Vec<_>>());
        let pool = pool(self.threads)?;
        let start = Instant::now();
        let losses: Result<Vec<_>> = pool.install(|| {
            let runs = runs.into_par_iter().with_max_len(1);
            runs.map(|run| run.train(&batches, self.steps)).collect()
        });
        let seconds = start.elapsed().as_secs_f64();
        Ok(json!({ "seconds": seconds, "losses": losses?, "noise": noise }))
    }

    /// The noise of one seed's samples, step after step.
    fn noise_of(&self, guesses: &Stream) -> Vec<f32> {
        let step = |t| {
            let mut generator = guesses.at(t);
            (0..self.batch * self.latent).map(move |_| generator.sample::<f64, _>(StandardNormal) as f32)
        };
        (0..self.steps as u64).flat_map(step).collect()
    }
}

/// Every seed's initial parameters: name, and values of all seeds.
struct Initial(Vec<(String, Tensor)>);

impl Initial {
    fn new(file: &NpzTensors) -> Result<Self> {
        let mut all = Vec::new();
        for network in ["decoder", "posterior"] {
            for (kind, layer) in (0..LAYERS).flat_map(|layer| [("weight", layer), ("bias", layer)]) {
                let values = array(file, &format!("{network}.{kind}.{layer}"))?;
                all.push((format!("{network}.{layer}.{kind}"), values));
            }
        }
        Ok(Self(all))
    }

    fn seeds(&self) -> Result<usize> {
        Ok(self.0[0].1.dim(0)?)
    }
}

/// One seed's autoencoder and optimiser.
struct Run<'a> {
    model: &'a LatentGaussianModel,
    posterior: &'a PosteriorConfig,
    parameters: Parameters,
    adam: Adam,
    guesses: Stream,
}

impl<'a> Run<'a> {
    fn new(
        model: &'a LatentGaussianModel,
        posterior: &'a PosteriorConfig,
        seed: usize,
        initial: &Initial,
    ) -> Result<Self> {
        let mut parameters = Parameters::new();
        for (name, values) in &initial.0 {
            parameters.insert(name, &values.get(seed)?)?;
        }
        Ok(Self {
            model,
            posterior,
            adam: Adam::new(&parameters, AdamSettings::default())?,
            parameters,
            guesses: Streams::new(seed as u64).named("guesses"),
        })
    }

    fn train(mut self, batches: &[Batch], steps: usize) -> Result<Vec<f32>> {
        let objective = ObjectiveConfig::of_default::<Elbo>();
        let mut losses = Vec::with_capacity(steps);
        for (t, batch) in (0..steps as u64).zip(batches.iter().cycle()) {
            let joint = self.model.joint(&self.parameters, batch)?;
            let draws = || {
                let generator = &mut self.guesses.at(t);
                self.posterior.draws(joint.as_ref(), &self.parameters, t, generator)
            };
            let loss = objective.value(joint.as_ref(), t, draws)?.mean_all()?.neg()?;
            losses.push(loss.to_scalar()?);
            let norm = self.adam.step(&self.parameters, &backward(&loss)?, 1e-3, None)?;
            if !norm.is_finite() {
                return Err(Error::Other(format!("the gradient's norm is {norm} after {t} steps")));
            }
        }
        Ok(losses)
    }
}
