//! Gaussian beliefs over trajectories by an approximate Kalman smoother, linearised or unscented. On a linear model
//! both are the exact posterior.

use super::{ApproximateLikelihood, Common, Draws, Facts, PosteriorKind, trajectory};
use crate::Result;
use crate::error::Fault;
use crate::error::provided;
use crate::kind::{Declared, Example};
use crate::math::nonlinear::{Approximation, GaussianFiltered, SigmaPoints};
use crate::math::streams::Generator;
use crate::model::{Abilities, Need};
use crate::model::{Joint, StateSpaceOf, TrajectoryPosterior};
use crate::nn::Parameters;
use candle_core::{Device, Tensor};
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
    /// κ, above −X. Without this key it is 3 − X, but not below 0. Below 0 the central point has a negative weight where
    /// α = 1, and a covariance may fail to be positive definite (Julier & Uhlmann 1997).
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
    /// The fault of a κ that leaves the points of `states` dimensions no distance from the mean.
    fn check(&self, states: usize) -> Vec<Fault> {
        let supported = self
            .kappa
            .is_none_or(|kappa| kappa.is_finite() && kappa > -(states as f64));
        let fault = Fault::new(
            "kappa",
            format!(
                "κ = {} gives sigma points no finite, positive spread",
                self.kappa.unwrap_or(0.0)
            ),
            format!("a number above −X = −{states}, where X counts the dimensions of a state"),
            "remove it: 3 − X, but not below 0, matches fourth moments",
        );
        if supported { Vec::new() } else { vec![fault] }
    }

    fn approximation(&self) -> Approximation {
        Approximation::Unscented(SigmaPoints {
            alpha: self.alpha,
            beta: self.beta,
            kappa: self.kappa,
        })
    }
}

/// Keys of `kind = "extended_kalman"`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ExtendedKalman {
    /// Options that every posterior has.
    #[serde(flatten)]
    pub common: Common,
}

/// The smoother's beliefs; their expected log q is minus their entropy.
fn smoothed(joint: &dyn Joint, approximation: Approximation) -> Result<Draws> {
    let (beliefs, entropies) = filtered(joint, approximation)?.smooth();
    trajectory::draws(TrajectoryPosterior {
        beliefs: vec![beliefs],
        log_q: entropies.into_iter().map(|entropy| -entropy).collect(),
    })
}

fn filtered(joint: &dyn Joint, approximation: Approximation) -> Result<GaussianFiltered<'_>> {
    let StateSpaceOf { dynamics, sequences } = provided(joint.state_space(), "a state space")?;
    GaussianFiltered::new(dynamics, sequences, approximation)
}

/// `log p(o)` of each sequence as the approximate Kalman filter has it. `[B]`
fn log_prob(joint: &dyn Joint, approximation: Approximation) -> Result<Tensor> {
    let filtered = filtered(joint, approximation)?;
    Ok(Tensor::new(filtered.log_likelihood(), &Device::Cpu)?)
}

impl ApproximateLikelihood for ExtendedKalman {
    fn log_prob(&self, joint: &dyn Joint) -> Result<Tensor> {
        log_prob(joint, Approximation::Linearised)
    }
}

impl ApproximateLikelihood for UnscentedKalman {
    fn log_prob(&self, joint: &dyn Joint) -> Result<Tensor> {
        log_prob(joint, self.approximation())
    }
}

impl Declared for ExtendedKalman {
    const NAME: &'static str = "extended_kalman";
    const SUMMARY: &'static str = "The Gaussian smoother of the model linearised at its own means (extended Kalman filter; models of sequences only).";
    const EQUATION: &'static str =
        "N(x_1 … x_T) by the smoother's recursions with E[f(x)] = f(m), Cov(f(x)) = F P Fᵀ, F = ∂f/∂x at m";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"growth\"\ntrain = 200",
        model: "kind = \"nonlinear_gaussian_ssm\"",
        posterior: "kind = \"extended_kalman\"",
        ..Example::USUAL
    };
}

impl PosteriorKind for ExtendedKalman {
    fn common(&self) -> &Common {
        &self.common
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Trajectory]
    }

    fn facts(&self) -> Facts {
        Facts { ..Facts::PLAIN }
    }

    fn approximate_likelihood(&self) -> Option<&dyn ApproximateLikelihood> {
        Some(self)
    }

    fn draws(&self, joint: &dyn Joint, _phi: &Parameters, _step: u64, _generator: &mut Generator) -> Result<Draws> {
        smoothed(joint, Approximation::Linearised)
    }
}

impl Declared for UnscentedKalman {
    const NAME: &'static str = "unscented_kalman";
    const SUMMARY: &'static str = "The Gaussian smoother that propagates sigma points through the model (unscented Kalman filter; models of sequences only).";
    const EQUATION: &'static str =
        "N(x_1 … x_T) by the smoother's recursions with E[f(x)] = Σ_k w_k f(m ± √(X + λ) √P_k), likewise Cov(f(x))";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"growth\"\ntrain = 200",
        model: "kind = \"nonlinear_gaussian_ssm\"",
        posterior: "kind = \"unscented_kalman\"",
        ..Example::USUAL
    };
}

impl PosteriorKind for UnscentedKalman {
    fn common(&self) -> &Common {
        &self.common
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Trajectory]
    }

    fn facts(&self) -> Facts {
        Facts { ..Facts::PLAIN }
    }

    fn approximate_likelihood(&self) -> Option<&dyn ApproximateLikelihood> {
        Some(self)
    }

    fn check(&self, model: &Abilities) -> Vec<Fault> {
        Self::check(self, model.states.unwrap_or(1))
    }

    fn draws(&self, joint: &dyn Joint, _phi: &Parameters, _step: u64, _generator: &mut Generator) -> Result<Draws> {
        smoothed(joint, self.approximation())
    }
}
