//! Monte-Carlo estimates of log p(o_1 … o_T) by independent particle filters, with their standard error and bias.
//!
//! Filter m of M estimates p(o) of a sequence without bias as p̂_m. The estimate is `l = log (1/M Σ_m p̂_m)`, whose
//! expectation is below log p(o). With σ² the variance of log p̂_m, which is nearly normal (Bérard, Del Moral & Doucet
//! 2014), p̂_m is nearly log-normal. The mean of M of them is taken as log-normal too (Fenton 1960). Its logarithm has
//! the variance
//!
//! `s² = log (1 + (exp σ² − 1) / M)`
//!
//! which is `σ²/M` where filters agree, and about σ² where they do not. So the standard error of l is s, and its bias
//! E[l] − log p(o) = −s²/2.

use super::{BootstrapFilter, Dynamics};
use crate::Result;
use crate::math::kalman::Sequences;
use crate::math::log_sum_exp;
use crate::math::streams::Stream;

/// M, the number of independent filters of an estimate.
pub const FILTERS: usize = 8;

/// A log-likelihood, summed over sequences, in nats.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LogLikelihood {
    /// l.
    pub value: f64,
    /// s; 0 where the value is exact.
    pub standard_error: f64,
    /// E\[l\] − log p(o) = −s²/2, summed; 0 where the value is exact.
    pub bias: f64,
}

impl LogLikelihood {
    /// From the values of M ≥ 2 filters for B sequences, `[M][B]`, in nats.
    pub fn of_filters(logs: &[Vec<f64>]) -> Self {
        let filters = logs.len() as f64;
        let mut sum = Self::default();
        let mut variance = 0.0;
        for b in 0..logs.first().map_or(0, Vec::len) {
            let own: Vec<f64> = logs.iter().map(|logs| logs[b]).collect();
            let mean = own.iter().sum::<f64>() / filters;
            let spread = own.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / (filters - 1.0);
            sum.value += log_sum_exp(&own) - filters.ln();
            let own = log_sum_exp(&[(1.0 - 1.0 / filters).ln(), spread - filters.ln()]);
            variance += own.max(0.0);
        }
        sum.standard_error = variance.sqrt();
        sum.bias = -0.5 * variance;
        sum
    }
}

/// log p̂ of every sequence by [`FILTERS`] filters of `count` particles; filter m of sequence i draws from `numbers` at
/// an index of its own. `[M][B]`
///
/// # Errors
/// Those of [`BootstrapFilter`].
pub fn filter_repeatedly(
    system: &dyn Dynamics,
    sequences: &Sequences,
    count: usize,
    numbers: &Stream,
) -> Result<Vec<Vec<f64>>> {
    let filter = BootstrapFilter::new(system, sequences, count)?;
    let one = |m: usize| filter.log_likelihood(|i| numbers.at(i * FILTERS as u64 + m as u64));
    (0..FILTERS).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::streams::Streams;
    use rand_distr::{Distribution, StandardNormal};

    /// Filters whose log p̂ is normal with standard deviation σ, p̂ without bias, for three sequences of log p = −7
    /// each.
    fn repeated(sigma: f64, repeats: u64) -> Vec<LogLikelihood> {
        let one = |index| {
            let rng = &mut Streams::new(3).named("filters").at(index);
            let mut log = || -7.0 - 0.5 * sigma * sigma + sigma * Distribution::<f64>::sample(&StandardNormal, rng);
            let logs: Vec<Vec<f64>> = (0..FILTERS).map(|_| (0..3).map(|_| log()).collect()).collect();
            LogLikelihood::of_filters(&logs)
        };
        (0..repeats).map(one).collect()
    }

    #[test]
    fn standard_error_and_bias_are_those_of_repeated_estimates() {
        for sigma in [0.05, 0.3, 1.0] {
            let all = repeated(sigma, 4000);
            let n = all.len() as f64;
            let mean = |of: fn(&LogLikelihood) -> f64| all.iter().map(of).sum::<f64>() / n;
            let value = mean(|l| l.value);
            let spread = (all.iter().map(|l| (l.value - value).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
            let error = mean(|l| l.standard_error.powi(2)).sqrt();
            assert!((error / spread - 1.0).abs() < 0.25, "{sigma}: {error} {spread}");
            let (bias, left) = (value + 21.0, mean(|l| l.bias));
            assert!(
                (left - bias).abs() < 6.0 * spread / n.sqrt() + 0.25 * bias.abs(),
                "{sigma}: {left} {bias}"
            );
            assert!(left < 0.0);
        }
    }

    #[test]
    fn filters_that_disagree_are_not_trusted() {
        let all = repeated(30.0, 200);
        assert!(all.iter().all(|l| l.standard_error > 10.0 && l.bias < -100.0));
        // The truth is within three standard errors after the bias is taken off, as a rule.
        let near = all
            .iter()
            .filter(|l| (l.value - l.bias + 21.0).abs() < 3.0 * l.standard_error - l.bias)
            .count();
        assert!(near > 180, "{near}");
    }

    #[test]
    fn exact_filters_have_no_error() {
        let exact = LogLikelihood::of_filters(&vec![vec![-1.0, -2.0]; FILTERS]);
        assert!((exact.value + 3.0).abs() < 1e-12 && exact.standard_error < 1e-7 && exact.bias.abs() < 1e-14);
    }
}
