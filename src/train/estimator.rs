//! How well sampled guesses estimate the exact objective and its gradient, at one θ, by repetition.
//!
//! With S draws from the exact posterior the expected log-likelihood is unbiased, `E[Σ_s w_s log p(x,z_s)] =
//! E_{z~p(z|x)}[log p(x,z)]`, so is its gradient, and both spread as 1/√S.

use super::{Job, evaluation::scalar};
use crate::Result;
use crate::data::Batch;
use crate::nn::Parameters;
use crate::posterior::PosteriorConfig;
use candle_core::DType;

/// The metrics `estimator/…` of `repeats` estimates on (at most the first 256) training rows.
pub fn measure(job: &Job, theta: &Parameters, repeats: u64) -> Result<Vec<(String, f64)>> {
    let rows = Batch::whole(&job.splits.train, theta.dtype(), &theta.device())?;
    let rows = rows.narrow(0, rows.len().min(256))?;
    let estimate = |posterior: &PosteriorConfig, repeat: u64| -> Result<(f64, Vec<f64>)> {
        let joint = job.model.joint(theta, &rows)?;
        let generator = &mut job.streams.named("estimator").at(repeat);
        let values = job
            .objective
            .value(joint.as_ref(), || posterior.draws(joint.as_ref(), 0, generator))?;
        let mean = rows.mean(&values)?;
        let gradients = mean.backward()?;
        let mut all = Vec::new();
        for (_, var) in theta.iter() {
            match gradients.get(var) {
                Some(gradient) => all.extend(gradient.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?),
                None => all.resize(all.len() + var.elem_count(), 0.0),
            }
        }
        Ok((scalar(&mean)?, all))
    };
    let (exact_value, exact_gradient) = estimate(&PosteriorConfig::default(), 0)?;
    let mut value = Moments::new(1);
    let mut gradient = Moments::new(exact_gradient.len());
    for repeat in 0..repeats {
        let (v, g) = estimate(job.posterior, repeat)?;
        value.add(&[v]);
        gradient.add(&g);
    }
    let norm = exact_gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
    let metric = |name: &str, value: f64| (format!("estimator/{name}"), value);
    Ok(vec![
        metric("value_bias", value.bias(&[exact_value])),
        metric("value_deviation", value.total_variance().sqrt()),
        metric("gradient_bias", gradient.bias(&exact_gradient)),
        metric(
            "gradient_deviation",
            gradient.total_variance().sqrt() / norm.max(f64::MIN_POSITIVE),
        ),
    ])
}

/// Running mean and variance of vectors (Welford 1962).
struct Moments {
    count: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    fn new(size: usize) -> Self {
        Self {
            count: 0.0,
            mean: vec![0.0; size],
            squares: vec![0.0; size],
        }
    }

    fn add(&mut self, values: &[f64]) {
        self.count += 1.0;
        for ((mean, squares), value) in self.mean.iter_mut().zip(&mut self.squares).zip(values) {
            let before = value - *mean;
            *mean += before / self.count;
            *squares += before * (value - *mean);
        }
    }

    /// The sum of all variances.
    fn total_variance(&self) -> f64 {
        self.squares.iter().sum::<f64>() / (self.count - 1.0).max(1.0)
    }

    /// ‖mean − exact‖ over the standard error of the mean; 0 where they agree to rounding.
    fn bias(&self, exact: &[f64]) -> f64 {
        let distance = self
            .mean
            .iter()
            .zip(exact)
            .map(|(m, e)| (m - e).powi(2))
            .sum::<f64>()
            .sqrt();
        let size = exact.iter().map(|e| e * e).sum::<f64>().sqrt();
        if distance <= 1e-6 * size {
            return 0.0;
        }
        distance / (self.total_variance() / self.count).sqrt().max(f64::MIN_POSITIVE)
    }
}
