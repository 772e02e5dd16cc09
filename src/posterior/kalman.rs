//! Gaussian beliefs over trajectories by an approximate Kalman smoother, linearised or unscented. On a linear model
//! both are the exact posterior.

use super::Common;
use crate::Result;
use crate::error::Fault;
use crate::math::kalman::Sequences;
use crate::math::nonlinear::{Approximation, Dynamics, GaussianFiltered, SigmaPoints};
use crate::model::TrajectoryPosterior;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys of `kind = "unscented_kalman"`: where the 2X + 1 sigma points lie (Wan & van der Merwe 2000), √(α² (X + κ))
/// standard deviations from the mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct UnscentedKalman {
    /// α: below 1 moves the points towards the mean.
    #[schemars(range(min = 1e-4, max = 10.0))]
    pub alpha: f64,
    /// β: 2 − (1 − α²) gives the central point its Gaussian share of the covariance; 0 with α = 1 is unscaled.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub beta: f64,
    /// κ, above −X. Without this key it is 3 − X, but not below 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kappa: Option<f64>,
    /// Options that every posterior has.
    #[serde(flatten)]
    pub common: Common,
}

impl Default for UnscentedKalman {
    fn default() -> Self {
        let SigmaPoints { alpha, beta, kappa } = SigmaPoints::default();
        Self {
            alpha,
            beta,
            kappa,
            common: Common::default(),
        }
    }
}

impl UnscentedKalman {
    pub(super) fn check(&self) -> Vec<Fault> {
        let supported = self.kappa.is_none_or(|kappa| kappa.is_finite() && kappa > -1.0);
        let fault = Fault::new(
            "kappa",
            format!(
                "κ = {} gives sigma points no finite, positive spread",
                self.kappa.unwrap_or(0.0)
            ),
            "a number above −1",
            "remove it: 3 − X, but not below 0, matches fourth moments",
        );
        if supported { Vec::new() } else { vec![fault] }
    }

    pub(super) fn approximation(&self) -> Approximation {
        Approximation::Unscented(SigmaPoints {
            alpha: self.alpha,
            beta: self.beta,
            kappa: self.kappa,
        })
    }
}

/// The smoother's beliefs; their expected log q is minus their entropy.
pub(super) fn smoothed(
    system: &dyn Dynamics,
    sequences: &Sequences,
    approximation: Approximation,
) -> Result<TrajectoryPosterior> {
    let (beliefs, entropies) = GaussianFiltered::new(system, sequences, approximation)?.smooth();
    Ok(TrajectoryPosterior {
        beliefs: vec![beliefs],
        log_q: entropies.into_iter().map(|entropy| -entropy).collect(),
    })
}
