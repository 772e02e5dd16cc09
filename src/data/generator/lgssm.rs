//! `lgssm` as a kind of the registry.

use super::GeneratorKind;
use crate::error::Fault;
use crate::kind::{Declared, Example};
use crate::math::kalman::System;
use crate::math::nonlinear::Predictor;
use latent_lab_envs::{Generator, Lgssm, lgssm};
use nalgebra::{DMatrix, DVector};

impl Declared for Lgssm {
    const NAME: &'static str = "lgssm";
    const SUMMARY: &'static str = "Sequences from a linear-Gaussian state space whose likelihood is known.";
    const EQUATION: &'static str =
        "x_1 ~ N(m₁, P₁), x_{t+1} = A x_t + B u_t + w, o_t = C x_t + D u_t + v, w ~ N(0, Q), v ~ N(0, R)";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"lgssm\"\ntrain = 200",
        model: "kind = \"linear_gaussian_ssm\"",
        ..Example::USUAL
    };
}

impl GeneratorKind for Lgssm {
    fn truth(&self) -> Option<Predictor> {
        Some(Predictor::Kalman(Box::new(true_system(self))))
    }

    fn unused(&self) -> Option<Fault> {
        let is_unused = self.given().is_empty() && self.input_range != Self::default().input_range;
        is_unused.then(|| {
            Fault::unused(
                "input_range",
                "this state space has no input",
                "a `transition_input` with at least one column",
            )
        })
    }
}

/// The state space that `generator` draws from.
fn true_system(generator: &Lgssm) -> System {
    let (x, o, u) = (
        generator.states(),
        generator.emission.len(),
        generator.transition_input[0].len(),
    );
    let matrix = |rows: &lgssm::Rows, columns: usize| DMatrix::from_fn(rows.len(), columns, |i, j| rows[i][j]);
    let or = |rows: &Option<lgssm::Rows>, otherwise: DMatrix<f64>| match rows {
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
