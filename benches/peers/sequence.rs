//! Bare training steps of a neural state space with a smoothing posterior, one thread per seed: no evaluation, no records.
//!
//! Transition x + (X → h → X), linear emission; q: gated recurrent units of the future, and of each step X + F + h → h → 2 X
//! with a linear layer beside it; tanh, Adam on the evidence lower bound with one path, f32. The file holds the
//! observations `observed` `[N, T, O]`, and every seed's initial parameters `[S, ..]` by their names; step t sees the
//! sequences from `(t mod N/B) B` on.

use crate::{array, pool};
use candle_core::{DType, Device, npy::NpzTensors};
use latent_lab::data::{Batch, Batches, Dataset, Table};
use latent_lab::math::streams::{Stream, Streams};
use latent_lab::model::neural_ssm::{EmissionFunction, LinearEmission, NeuralSsm, PerceptronKeys, TransitionFunction};
use latent_lab::model::{Model, ModelKind};
use latent_lab::nn::{Adam, AdamSettings, Parameters, backward};
use latent_lab::objective::{Elbo, ObjectiveConfig};
use latent_lab::posterior::{PosteriorConfig, amortised::Amortised, sequence::SequenceKeys};
use latent_lab::{Error, Result};
use rand::RngExt;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use serde_json::{Value, json};
use std::{path::PathBuf, time::Instant};

#[derive(serde::Deserialize)]
pub struct Request {
    file: PathBuf,
    batch: usize,
    states: usize,
    hidden: usize,
    seeds: usize,
    steps: usize,
    threads: usize,
    /// Whether to answer with the noise of every draw.
    #[serde(default)]
    noise: bool,
}

impl Request {
    /// The seconds of all steps of all seeds, the losses before each step, `[S, steps]`, the noise, `[S, steps, T, B, X]`,
    /// and the memory of the process after them, in bytes.
    pub fn answer(&self) -> Result<Value> {
        let file = NpzTensors::new(&self.file)?;
        let observed = array(&file, "observed")?;
        let (sequences, length, columns) = observed.dims3()?;
        let values = observed.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
        let data = Dataset {
            observed: Table::new(values, columns).into(),
            lengths: Some(vec![length; sequences]),
            ..Dataset::default()
        };
        let model = NeuralSsm {
            states: self.states,
            transition: TransitionFunction::Perceptron(PerceptronKeys {
                hidden: vec![self.hidden],
                ..PerceptronKeys::default()
            }),
            emission: EmissionFunction::Linear(LinearEmission::default()),
            ..NeuralSsm::default()
        };
        let model = model.build(&data)?;
        let posterior = PosteriorConfig::new(Amortised {
            hidden: vec![self.hidden],
            sequence: SequenceKeys {
                recurrent_units: Some(self.hidden),
                ..SequenceKeys::default()
            },
            ..Amortised::default()
        })?;
        let all = Batches::new(&data, DType::F32, &Device::Cpu);
        let starts = (0..sequences / self.batch).map(|i| i * self.batch);
        let batches = starts.map(|start| all.narrow(start, self.batch));
        let batches = batches.collect::<Result<Vec<_>>>()?;
        let runs = (0..self.seeds).map(|seed| Run::new(model.as_ref(), &posterior, &data, seed, &file));
        let runs = runs.collect::<Result<Vec<_>>>()?;
        let noise = self.noise.then(|| {
            let of_seed = |run: &Run| self.noise_of(&run.draws, length);
            runs.iter().map(of_seed).collect::<Vec<_>>()
        });
        let pool = pool(self.threads)?;
        let start = Instant::now();
        let losses: Result<Vec<_>> = pool.install(|| {
            let runs = runs.into_par_iter().with_max_len(1);
            runs.map(|run| run.train(&batches, self.steps)).collect()
        });
        let seconds = start.elapsed().as_secs_f64();
        Ok(json!({ "seconds": seconds, "losses": losses?, "noise": noise, "memory": memory() }))
    }

    /// The noise of one seed's paths, step after step.
    fn noise_of(&self, draws: &Stream, length: usize) -> Vec<f32> {
        let step = |t| {
            let mut generator = draws.at(t);
            let count = length * self.batch * self.states;
            (0..count).map(move |_| generator.sample::<f64, _>(StandardNormal) as f32)
        };
        (0..self.steps as u64).flat_map(step).collect()
    }
}

/// The resident memory of this process, in bytes; 0 where the system does not say it.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    kilobytes.map_or(0, |kilobytes| 1024 * kilobytes)
}

/// One seed's model, posterior and optimiser.
struct Run<'a> {
    model: &'a dyn Model,
    posterior: &'a PosteriorConfig,
    parameters: Parameters,
    adam: Adam,
    draws: Stream,
}

impl<'a> Run<'a> {
    fn new(
        model: &'a dyn Model,
        posterior: &'a PosteriorConfig,
        data: &Dataset,
        seed: usize,
        file: &NpzTensors,
    ) -> Result<Self> {
        let streams = Streams::new(seed as u64);
        let mut parameters = model.initial(data, &streams, 0, DType::F32, &Device::Cpu)?;
        posterior.initial(model, data, &streams, &mut parameters)?;
        for (name, var) in parameters.iter() {
            var.set(&array(file, name)?.get(seed)?)?;
        }
        Ok(Self {
            model,
            posterior,
            adam: Adam::new(&parameters, AdamSettings::default())?,
            parameters,
            draws: streams.named("draws"),
        })
    }

    fn train(mut self, batches: &[Batch], steps: usize) -> Result<Vec<f32>> {
        let objective = ObjectiveConfig::of_default::<Elbo>();
        let mut losses = Vec::with_capacity(steps);
        for (t, batch) in (0..steps as u64).zip(batches.iter().cycle()) {
            let joint = self.model.joint(&self.parameters, batch)?;
            let draws = || {
                let generator = &mut self.draws.at(t);
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
