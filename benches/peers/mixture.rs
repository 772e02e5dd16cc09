//! EM iterations of a Gaussian mixture with full covariances, one fit on all threads.
//!
//! The file holds the rows `x` `[N, D]`, and where EM starts: `weights` `[K]`, `means` `[K, D]`, and one `variance` `[1]`
//! of all components and dimensions.

use crate::{array, pool};
use candle_core::npy::NpzTensors;
use latent_lab::Result;
use latent_lab::math::linear_mixture::{Covariance, LinearMixture};
use latent_lab::math::m_step::{Fixed, Floor, maximize};
use latent_lab::math::rows::{Observations, Rows};
use latent_lab::math::sweep::{EStep, sweep};
use serde_json::{Value, json};
use std::{path::PathBuf, time::Instant};

#[derive(serde::Deserialize)]
pub struct Request {
    file: PathBuf,
    iterations: usize,
    threads: usize,
}

impl Request {
    /// The seconds of all iterations, and the log-likelihood of all rows after them.
    pub fn answer(&self) -> Result<Value> {
        let file = NpzTensors::new(&self.file)?;
        let values = |name: &str| Result::Ok(array(&file, name)?.flatten_all()?.to_vec1::<f64>()?);
        let (x, weights, means, variance) = (values("x")?, values("weights")?, values("means")?, values("variance")?);
        let (k, d) = (weights.len(), means.len() / weights.len());
        let rows = Rows { values: &x, columns: d };
        let data = Observations::new(rows, None, None)?;
        let spherical = (0..d * d).map(|i| if i % (d + 1) == 0 { variance[0] } else { 0.0 });
        let mut mixture = LinearMixture {
            inputs: 0,
            outputs: d,
            covariance: Covariance::Full,
            weights,
            coefficients: means,
            covariances: spherical.collect::<Vec<_>>().repeat(k),
        };
        pool(self.threads)?.install(|| {
            let start = Instant::now();
            for _ in 0..self.iterations {
                let statistics = sweep(&data, &mixture, EStep::Exact, self.threads)?;
                mixture = maximize(&statistics, &mixture, Fixed::default(), &Floor::default())?.mixture;
            }
            let seconds = start.elapsed().as_secs_f64();
            let log_likelihood = sweep(&data, &mixture, EStep::Exact, self.threads)?.log_likelihood;
            Ok(json!({ "seconds": seconds, "log_likelihood": log_likelihood }))
        })
    }
}
