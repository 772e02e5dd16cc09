//! Expectation steps of a linear-Gaussian state space: filter, smoother and moments of all sequences, which threads share.
//!
//! The file holds `observed` `[N, T, O]` and the system: `initial_mean` `[X]`, `initial_covariance` `[X, X]`, `transition`
//! `[X, X]`, `transition_noise` `[X, X]`, `emission` `[O, X]`, `emission_noise` `[O, O]`. There are no inputs or offsets.

use crate::{array, pool};
use candle_core::npy::NpzTensors;
use latent_lab::Result;
use latent_lab::math::kalman::{Sequences, System, expectation};
use nalgebra::{DMatrix, DVector};
use serde_json::{Value, json};
use std::{hint::black_box, path::PathBuf, time::Instant};

#[derive(serde::Deserialize)]
pub struct Request {
    file: PathBuf,
    repeats: usize,
    threads: usize,
}

impl Request {
    /// The seconds of all steps, each sequence's log-likelihood, and the moments of `[x_{t+1}; x_t]`, `[2 X, 2 X]`.
    pub fn answer(&self) -> Result<Value> {
        let file = NpzTensors::new(&self.file)?;
        let (observed, system) = (array(&file, "observed")?, system(&file)?);
        let (count, steps, outputs) = observed.dims3()?;
        let observed = observed.flatten_all()?.to_vec1::<f64>()?;
        let sequences = Sequences::new(&observed, outputs, &[], 0, &vec![steps; count])?;
        let (seconds, (log_likelihoods, statistics)) = pool(self.threads)?.install(|| -> Result<_> {
            let start = Instant::now();
            for _ in 0..self.repeats {
                black_box(expectation(&system, &sequences, self.threads)?);
            }
            let seconds = start.elapsed().as_secs_f64();
            Ok((seconds, expectation(&system, &sequences, self.threads)?))
        })?;
        let second = statistics.transition.second;
        let row = |i: usize| (0..2 * system.states()).map(|j| second[(i, j)]).collect();
        let moments: Vec<Vec<f64>> = (0..2 * system.states()).map(row).collect();
        Ok(json!({ "seconds": seconds, "log_likelihoods": log_likelihoods, "moments": moments }))
    }
}

fn system(file: &NpzTensors) -> Result<System> {
    let matrix = |name: &str| {
        let tensor = array(file, name)?;
        let (rows, columns) = tensor.dims2()?;
        Result::Ok(DMatrix::from_row_slice(
            rows,
            columns,
            &tensor.flatten_all()?.to_vec1::<f64>()?,
        ))
    };
    let (transition, emission) = (matrix("transition")?, matrix("emission")?);
    let (outputs, states) = emission.shape();
    Ok(System {
        initial_mean: array(file, "initial_mean")?.to_vec1::<f64>()?.into(),
        initial_covariance: matrix("initial_covariance")?,
        transition,
        transition_input: DMatrix::zeros(states, 0),
        transition_offset: DVector::zeros(states),
        transition_noise: matrix("transition_noise")?,
        emission,
        emission_input: DMatrix::zeros(outputs, 0),
        emission_offset: DVector::zeros(outputs),
        emission_noise: matrix("emission_noise")?,
    })
}
