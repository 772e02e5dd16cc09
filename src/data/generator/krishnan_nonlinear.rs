//! `krishnan_nonlinear` as a kind of the registry.

use super::GeneratorKind;
use crate::kind::{Declared, Example};
use crate::math::nonlinear::{Moments, Predictor, ScalarSystem};
use latent_lab_envs::KrishnanNonlinear;
use std::sync::Arc;

impl Declared for KrishnanNonlinear {
    const NAME: &'static str = "krishnan_nonlinear";
    const SUMMARY: &'static str =
        "Sequences from the nonlinear system of Krishnan, Shalit & Sontag (2017): z' = 2 sin z + z with noise.";
    const EQUATION: &'static str =
        "z_t ~ N(2 sin z_{t−1} + z_{t−1}, 5), x_t ~ N(0.5 z_t, 5); second arguments are variances";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"krishnan_nonlinear\"\ntrain = 200",
        model: "kind = \"linear_gaussian_ssm\"",
        ..Example::USUAL
    };
}

impl GeneratorKind for KrishnanNonlinear {
    fn truth(&self) -> Option<Predictor> {
        Some(Predictor::Grid(true_system()))
    }
}

fn true_system() -> ScalarSystem {
    let transition = |z: f64| Moments {
        mean: KrishnanNonlinear::transition_mean(z),
        variance: KrishnanNonlinear::TRANSITION_VARIANCE,
    };
    ScalarSystem {
        initial: transition(0.0),
        transition: Arc::new(transition),
        emission: Arc::new(|z| Moments {
            mean: KrishnanNonlinear::emission_mean(z),
            variance: KrishnanNonlinear::EMISSION_VARIANCE,
        }),
    }
}
