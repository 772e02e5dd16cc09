//! Reference values from generators: the log-density of test rows under the generator that drew them.

use super::Dataset;
use crate::math::kalman::{Conditional, System};
use crate::math::nonlinear::{Basis, BasisSystem, Predictor};
use crate::math::streams::Streams;
use latent_lab_envs as envs;
use nalgebra::{DMatrix, DVector};

/// Weighted mean of the generator's log-density over `test`, in nats per datum.
pub(super) fn oracle(generator: &dyn envs::Generator, test: &Dataset) -> Option<f64> {
    let mut sum = 0.0;
    for i in 0..test.len() {
        let given = test.given.as_ref().map_or(&[][..], |given| given.row(i));
        sum += test.weight(i) * generator.log_prob(test.observed.row(i), given)?;
    }
    Some(sum / test.total_weight())
}

/// The state space that `generator` draws from.
pub(super) fn true_system(generator: &envs::Lgssm) -> System {
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
pub(super) fn true_growth(generator: &envs::Growth) -> BasisSystem {
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
