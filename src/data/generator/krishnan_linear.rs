//! `krishnan_linear` as a kind of the registry.

use super::GeneratorKind;
use crate::kind::{Declared, Example};
use crate::math::kalman::System;
use crate::math::nonlinear::Predictor;
use latent_lab_envs::KrishnanLinear;
use nalgebra::{DMatrix, DVector};

impl Declared for KrishnanLinear {
    const NAME: &'static str = "krishnan_linear";
    const SUMMARY: &'static str = "Sequences from the linear system of Krishnan, Shalit & Sontag (2017): a random walk with drift, observed with noise.";
    const EQUATION: &'static str = "z_t ~ N(z_{t−1} + 0.05, 10), x_t ~ N(0.5 z_t, 20); second arguments are variances";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"krishnan_linear\"\ntrain = 200",
        model: "kind = \"linear_gaussian_ssm\"",
        ..Example::USUAL
    };
}

impl GeneratorKind for KrishnanLinear {
    fn truth(&self) -> Option<Predictor> {
        Some(Predictor::Kalman(Box::new(true_system())))
    }
}

fn true_system() -> System {
    let one = |value: f64| DMatrix::from_element(1, 1, value);
    System {
        initial_mean: DVector::from_element(1, KrishnanLinear::DRIFT),
        initial_covariance: one(KrishnanLinear::TRANSITION_VARIANCE),
        transition: one(1.0),
        transition_input: DMatrix::zeros(1, 0),
        transition_offset: DVector::from_element(1, KrishnanLinear::DRIFT),
        transition_noise: one(KrishnanLinear::TRANSITION_VARIANCE),
        emission: one(KrishnanLinear::EMISSION),
        emission_input: DMatrix::zeros(1, 0),
        emission_offset: DVector::zeros(1),
        emission_noise: one(KrishnanLinear::EMISSION_VARIANCE),
    }
}
