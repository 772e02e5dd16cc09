//! Reference values from generators: the log-density of test rows under the generator that drew them.

use super::Dataset;
use crate::math::nonlinear::Predictor;
use crate::math::streams::Streams;
use latent_lab_envs as envs;

/// Weighted mean of the generator's log-density over `test`, in nats per datum; of sequences, in nats per observed step.
/// None for images, which would be copied to f64: no generator knows their density.
pub(super) fn oracle(generator: &dyn envs::Generator, test: &Dataset) -> Option<f64> {
    if test.observed.is_images() {
        return None;
    }
    let mut sum = 0.0;
    if let Some(lengths) = &test.lengths {
        let mut start = 0;
        for &length in lengths {
            let (width, given) = (test.observed.columns(), test.given.as_ref());
            let of = |values: &[f64], width: usize| values[start * width..(start + length) * width].to_vec();
            let observed = of(test.observed.values(), width);
            let given = given.map_or_else(Vec::new, |given| of(given.values(), given.columns()));
            sum += generator.sequence_log_prob(&observed, &given)?;
            start += length;
        }
        return Some(sum / test.total_weight());
    }
    for i in 0..test.len() {
        let given = test.given.as_ref().map_or(&[][..], |given| given.row(i));
        sum += test.weight(i) * generator.log_prob(test.observed.row(i), given)?;
    }
    Some(sum / test.total_weight())
}

/// Log-likelihood of the sequences of `test` under the system that made them, and its standard error if it is an
/// estimate, both in nats per observed step. Particles use the stream `oracle`.
pub(super) fn sequence_oracle(truth: &Predictor, test: &Dataset, streams: &Streams) -> Option<(f64, Option<f64>)> {
    let sequences = test.sequences().ok()?;
    let found = truth.log_likelihood(&sequences, &streams.named("oracle")).ok()?;
    let is_estimate = matches!(truth, Predictor::Particles(..));
    let steps = test.total_weight();
    Some((found.value / steps, is_estimate.then_some(found.standard_error / steps)))
}

#[cfg(test)]
mod tests {
    use crate::data::DataConfig;
    use crate::math::streams::Streams;
    use std::path::Path;

    /// The oracle of these keys, per step, and its standard error, by the seed.
    fn oracle(keys: &str, seed: u64) -> (f64, Option<f64>) {
        let data: DataConfig = toml::from_str(keys).expect("keys");
        let splits = data.load(Path::new(""), &Streams::new(seed)).expect("rows");
        (splits.oracle.expect("an oracle"), splits.oracle_standard_error)
    }

    #[test]
    fn the_linear_system_of_krishnan_has_the_expected_log_likelihood() {
        let (value, error) = oracle("source = 'krishnan_linear'\ntrain = 50\ntest = 100000", 1);
        // −log p of a sequence of 25 steps is half a χ² of 25 degrees of freedom and a constant: its variance is 12.5.
        let standard_error = (12.5f64 / 4000.0).sqrt() / 25.0;
        assert!((value + 3.08202).abs() < 4.0 * standard_error, "{value}");
        assert_eq!(error, None);
    }

    /// 400 sequences, and the published estimate from as many others: −2.4895 ± 0.0067.
    #[test]
    fn the_nonlinear_system_of_krishnan_has_the_expected_log_likelihood() {
        let (value, error) = oracle("source = 'krishnan_nonlinear'\ntrain = 50\ntest = 10000", 2);
        assert!((value + 2.4895).abs() < 4.0 * 0.0067 * 2f64.sqrt(), "{value}");
        assert_eq!(error, None);
    }

    /// Missing values count as no step, and lengths cut sequences: the sum over sequences is over all observed steps.
    #[test]
    fn oracles_are_per_observed_step() {
        let whole = oracle("source = 'krishnan_nonlinear'\ntrain = 50\ntest = 40\nlength = 30", 3).0;
        let data: DataConfig =
            toml::from_str("source = 'krishnan_nonlinear'\ntrain = 50\ntest = 40\nlength = 30").expect("keys");
        let splits = data.load(Path::new(""), &Streams::new(3)).expect("rows");
        let (test, truth) = (splits.test.expect("rows"), splits.truth.expect("a state space"));
        let numbers = &Streams::new(9).named("unused");
        let sum = |data| truth.log_likelihood(&data, numbers).expect("a likelihood").value;
        let one_by_one = [0, 1].map(|i| sum(test.select(&[i]).sequences().expect("a sequence")));
        // Each grid is refined until no sequence changes by 1e-5 nats per step, so the two grids may differ.
        assert!((whole * 40.0 - one_by_one.iter().sum::<f64>()).abs() < 40.0 * 2e-5);
    }

    /// The forward algorithm sees the structure: it beats independent keys by far, and falls behind none of the shares.
    #[test]
    fn piano_rolls_have_an_exact_oracle() {
        let keys = "source = 'piano_roll'\ntrain = 64\ntest = 6400";
        let (value, error) = oracle(keys, 4);
        let data: DataConfig = toml::from_str(keys).expect("keys");
        let test = data
            .load(Path::new(""), &Streams::new(4))
            .expect("rows")
            .test
            .expect("rows");
        let independent: f64 = (0..88)
            .map(|j| {
                let p = test.observed.column(j).sum::<f64>() / 6400.0;
                let of = |p: f64| if p > 0.0 { p * p.ln() } else { 0.0 };
                of(p) + of(1.0 - p)
            })
            .sum();
        assert!(value > independent + 1.0, "{value} {independent}");
        assert_eq!(error, None);
    }
}
