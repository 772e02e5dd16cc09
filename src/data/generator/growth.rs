//! `growth` as a kind of the registry.

use super::GeneratorKind;
use crate::kind::{Declared, Example};
use crate::math::kalman::Conditional;
use crate::math::nonlinear::{Basis, BasisSystem, Predictor};
use latent_lab_envs::Growth;
use nalgebra::DMatrix;
use std::sync::Arc;

/// Particles of each estimate of the log-likelihood.
const PARTICLES: usize = 10_000;

impl Declared for Growth {
    const NAME: &'static str = "growth";
    const SUMMARY: &'static str =
        "Sequences from the growth model: a state that jumps between two wells, of which the square is observed.";
    const EQUATION: &'static str =
        "x_{t+1} = a x_t + b x_t / (1 + x_t²) + c cos(1.2 t) + w_t, y_t = d x_t² + v_t, w ~ N(0, q), v ~ N(0, r)";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"growth\"\ntrain = 200",
        model: "kind = \"nonlinear_gaussian_ssm\"",
        posterior: "kind = \"particle\"",
        ..Example::USUAL
    };
}

impl GeneratorKind for Growth {
    fn truth(&self) -> Option<Predictor> {
        Some(Predictor::Particles(Arc::new(true_growth(self)), PARTICLES))
    }

    fn parameters(&self) -> Vec<(&'static str, f64)> {
        Self::parameters(self).to_vec()
    }
}

/// The state space that `generator` draws from.
fn true_growth(generator: &Growth) -> BasisSystem {
    let Growth { a, b, c, d, .. } = *generator;
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
