//! Reference values from generators: the log-density of test rows under the generator that drew them.

use super::{Dataset, Source};
use crate::math::kalman::{Conditional, System};
use crate::math::nonlinear::{Basis, BasisSystem, Moments, Predictor, ScalarSystem};
use crate::math::streams::Streams;
use latent_lab_envs as envs;
use nalgebra::{DMatrix, DVector};
use std::sync::Arc;

/// Particles of each estimate of the oracle of a nonlinear generator.
const PARTICLES: usize = 10_000;

/// The state space that `source` draws from, and the method that predicts with it; none if it draws from another process,
/// or no method is known.
pub(super) fn truth(source: &Source) -> Option<Predictor> {
    match source {
        Source::Lgssm(generator) => Some(Predictor::Kalman(Box::new(true_system(generator)))),
        Source::Growth(generator) => Some(Predictor::Particles(Arc::new(true_growth(generator)), PARTICLES)),
        Source::KrishnanLinear(_) => Some(Predictor::Kalman(Box::new(true_krishnan_linear()))),
        Source::KrishnanNonlinear(_) => Some(Predictor::Grid(true_krishnan_nonlinear())),
        _ => None,
    }
}

/// Weighted mean of the generator's log-density over `test`, in nats per datum; of sequences, in nats per observed step.
pub(super) fn oracle(generator: &dyn envs::Generator, test: &Dataset) -> Option<f64> {
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

/// The state space that `generator` draws from.
fn true_system(generator: &envs::Lgssm) -> System {
    let (x, o, u) = (
        generator.states(),
        generator.emission.len(),
        generator.transition_input[0].len(),
    );
    let matrix = |rows: &envs::lgssm::Rows, columns: usize| DMatrix::from_fn(rows.len(), columns, |i, j| rows[i][j]);
    let or = |rows: &Option<envs::lgssm::Rows>, otherwise: DMatrix<f64>| match rows {
        Some(rows) => matrix(rows, otherwise.ncols()),
        None => otherwise,
    };
    System {
        initial_mean: generator
            .initial_mean
            .clone()
            .map_or(DVector::zeros(x), DVector::from_vec),
        initial_covariance: or(&generator.initial_covariance, DMatrix::identity(x, x)),
        transition: matrix(&generator.transition, x),
        transition_input: matrix(&generator.transition_input, u),
        transition_offset: DVector::zeros(x),
        transition_noise: matrix(&generator.transition_noise, x),
        emission: matrix(&generator.emission, x),
        emission_input: or(&generator.emission_input, DMatrix::zeros(o, u)),
        emission_offset: DVector::zeros(o),
        emission_noise: matrix(&generator.emission_noise, o),
    }
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

/// The state space that `generator` draws from.
fn true_growth(generator: &envs::Growth) -> BasisSystem {
    let envs::Growth { a, b, c, d, .. } = *generator;
    let conditional = |coefficients: &[f64], variance: f64| Conditional {
        coefficients: DMatrix::from_row_slice(1, coefficients.len(), coefficients),
        noise: DMatrix::from_element(1, 1, variance),
    };
    BasisSystem {
        functions: [Basis::Growth, Basis::Square],
        conditionals: [
            conditional(&[0.0], 0.0),
            conditional(&[a, b, c], generator.transition_variance),
            conditional(&[d], generator.emission_variance),
        ],
    }
}

fn true_krishnan_linear() -> System {
    type Generator = envs::KrishnanLinear;
    let one = |value: f64| DMatrix::from_element(1, 1, value);
    System {
        initial_mean: DVector::from_element(1, Generator::DRIFT),
        initial_covariance: one(Generator::TRANSITION_VARIANCE),
        transition: one(1.0),
        transition_input: DMatrix::zeros(1, 0),
        transition_offset: DVector::from_element(1, Generator::DRIFT),
        transition_noise: one(Generator::TRANSITION_VARIANCE),
        emission: one(Generator::EMISSION),
        emission_input: DMatrix::zeros(1, 0),
        emission_offset: DVector::zeros(1),
        emission_noise: one(Generator::EMISSION_VARIANCE),
    }
}

fn true_krishnan_nonlinear() -> ScalarSystem {
    type Generator = envs::KrishnanNonlinear;
    let transition = |z: f64| Moments {
        mean: Generator::transition_mean(z),
        variance: Generator::TRANSITION_VARIANCE,
    };
    ScalarSystem {
        initial: transition(0.0),
        transition: Arc::new(transition),
        emission: Arc::new(|z| Moments {
            mean: Generator::emission_mean(z),
            variance: Generator::EMISSION_VARIANCE,
        }),
    }
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
