//! Bias and variance of the sampled objective and its gradient at one θ, by repeated draws.
//!
//! With S draws from the exact posterior the expected log-likelihood is unbiased, `E[Σ_s w_s log p(x,z_s)] =
//! E_{z~p(z|x)}[log p(x,z)]`, so is its gradient, and the standard deviations of both fall as 1/√S.
//!
//! Bias is measured relative to the standard error of the mean m of R estimates with covariance V:
//!
//! | of | statistic | without bias |
//! |---|---|---|
//! | the value | `(m − exact) / √(V/R)`, signed | normal: within ±1.96 in 95 % of cases |
//! | the gradient | `‖m − exact‖ / √(tr V / R)` | mean square 1; at most 1.96 in 95 % of cases or more |
//!
//! The second bound holds for every V: among the quadratic forms `Σ_j λ_j n_j²` of independent normals with
//! `Σ_j λ_j = 1`, a single square has the heaviest tail beyond 1.54 (Székely & Bakirov 2003, "Extremal probabilities
//! for Gaussian quadratic forms").

use super::{Job, evaluation::scalar};
use crate::Result;
use crate::data::Batches;
use crate::nn::{Parameters, backward};
use crate::posterior::PosteriorConfig;
use candle_core::DType;

/// The metrics `estimator/…` of `repeats` estimates on (at most the first 256) training rows, for the objective and the
/// temperature after `steps` steps.
pub fn measure(job: &Job, theta: &Parameters, steps: u64, repeats: u64) -> Result<Vec<(String, f64)>> {
    let rows = Batches::new(&job.splits.train, theta.dtype(), &theta.device());
    let rows = rows.narrow(0, rows.len().min(256))?;
    let estimate = |posterior: &PosteriorConfig, repeat: u64| -> Result<(f64, Vec<f64>)> {
        let joint = job.model.joint(theta, &rows)?;
        let generator = &mut job.streams.named("estimator").at(repeat);
        let values = job.objective.value(joint.as_ref(), steps, || {
            posterior.draws(joint.as_ref(), theta, steps, generator)
        })?;
        let mean = rows.mean(&values)?;
        let gradients = backward(&mean)?;
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
    let metric = |name: &str, value: f64| (format!("estimator/{name}"), value);
    let sign = (value.mean[0] - exact_value).signum();
    Ok(vec![
        metric("value_bias", sign * value.bias(&[exact_value])),
        metric("value_deviation", value.total_variance().sqrt()),
        metric("gradient_bias", gradient.bias(&exact_gradient)),
        metric("gradient_deviation", gradient.total_variance().sqrt()),
        metric("gradient_norm", norm(&exact_gradient)),
    ])
}

/// ‖v‖₂.
fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// Relative size of the rounding of an f32 mean over a few hundred rows.
const ROUNDING: f64 = 1e-6;

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

    /// ‖mean − exact‖ over the standard error of the mean, `√(tr V / R)`; 0 for estimates without variance that are
    /// exact up to rounding.
    fn bias(&self, exact: &[f64]) -> f64 {
        let off: Vec<f64> = self.mean.iter().zip(exact).map(|(m, e)| m - e).collect();
        let error = (self.total_variance() / self.count).sqrt();
        if error <= ROUNDING * norm(exact) && norm(&off) <= ROUNDING * norm(exact) {
            return 0.0;
        }
        norm(&off) / error.max(f64::MIN_POSITIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;
    use rand_distr::StandardNormal;

    use crate::math::streams::Streams;

    /// Moments of `count` vectors μ + σ_j n_j, whose true mean is 0.
    fn moments(shift: f64, deviations: &[f64], count: u64, seed: u64) -> Moments {
        let rng = &mut Streams::new(seed).named("moments").at(0);
        let mut moments = Moments::new(deviations.len());
        for _ in 0..count {
            let draw = |deviation: &f64| shift + deviation * rng.sample::<f64, _>(StandardNormal);
            moments.add(&deviations.iter().map(draw).collect::<Vec<_>>());
        }
        moments
    }

    #[test]
    fn without_bias_the_statistic_has_its_stated_distribution() {
        for deviations in [&[2.0][..], &[1.0, 1.0, 1.0], &[3.0, 0.1, 0.0]] {
            let trials = 2000;
            let truth = vec![0.0; deviations.len()];
            let all: Vec<f64> = (0..trials)
                .map(|seed| moments(0.0, deviations, 100, seed).bias(&truth))
                .collect();
            let square = all.iter().map(|b| b * b).sum::<f64>() / trials as f64;
            // The square has variance at most 2, plus a little for the estimated V.
            assert!((square - 1.0).abs() < 6.0 * (2.2 / trials as f64).sqrt(), "{square}");
            let beyond = all.iter().filter(|b| **b > 1.96).count() as f64 / trials as f64;
            assert!(beyond < 0.05 + 6.0 * (0.05 * 0.95 / trials as f64).sqrt(), "{beyond}");
        }
    }

    #[test]
    fn a_bias_is_detected() {
        // A shift of half a standard deviation is 5 standard errors of the mean of n = 100. The statistic is the size of a
        // noncentral t, of mean 5 (1 + 3/(4n)) to first order in 1/n and variance near 1 + 5²/(2n).
        let (n, trials) = (100.0, 400);
        let mean = (0..trials)
            .map(|seed| moments(0.5, &[1.0], 100, seed).bias(&[0.0]))
            .sum::<f64>()
            / trials as f64;
        let margin = 5.0 * ((1.0 + 25.0 / (2.0 * n)) / trials as f64).sqrt();
        assert!((mean - 5.0 * (1.0 + 0.75 / n)).abs() < margin, "{mean} ± {margin}");
        // 4,000 draws of variances 4 and 1: the sum's variance is 2 (4² + 1²) / 4000.
        let margin = 5.0 * (2.0f64 * 17.0 / 4000.0).sqrt();
        let total = moments(0.0, &[2.0, 1.0], 4000, 1).total_variance();
        assert!((total - 5.0).abs() < margin, "{total} ± {margin}");
    }

    #[test]
    fn estimates_without_variance_are_exact_up_to_rounding_or_biased() {
        assert_eq!(moments(1.0 + 1e-7, &[0.0], 10, 0).bias(&[1.0]), 0.0);
        assert!(moments(1.01, &[0.0], 10, 0).bias(&[1.0]) > 1e6);
    }
}
