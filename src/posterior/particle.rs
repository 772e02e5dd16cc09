//! Trajectories drawn by particles: a bootstrap filter, then backward simulation through its particles (Godsill, Doucet
//! & West 2004). EM with it is that of Schön, Wills & Ninness (2011). As N grows the draws come from the exact
//! posterior; their log q is log p(o, x) − log p̂(o), with the filter's own estimate p̂(o) of the likelihood.

use super::{Common, Draws, Facts, PosteriorKind, trajectory};
use crate::Result;
use crate::error::provided;
use crate::kind::{Declared, Example};
use crate::math::nonlinear::BootstrapFilter;
use crate::math::streams::Generator;
use crate::model::Need;
use crate::model::{Joint, Latents, StateSpaceOf, TrajectoryPosterior};
use crate::nn::Parameters;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Keys of `kind = "particle"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Particle {
    /// Particles of the filter, N.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub particles: usize,
    /// Trajectories drawn by backward simulation, S; each costs N densities per step.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub samples: usize,
    /// Options that every posterior has.
    #[serde(flatten)]
    pub common: Common,
}

impl Default for Particle {
    fn default() -> Self {
        Self {
            particles: 100,
            samples: 100,
            common: Common::default(),
        }
    }
}

impl Declared for Particle {
    const NAME: &'static str = "particle";
    const SUMMARY: &'static str =
        "Draws by particles: a bootstrap filter forwards, a simulation backwards (models of sequences only).";
    const EQUATION: &'static str =
        "x_T^s ~ w_T, then backwards x_t^s ~ w_t^i p_θ(x_{t+1}^s | x_t^i), w_t^i ∝ p_θ(o_t | x_t^i), with weights 1/S";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"growth\"\ntrain = 200",
        model: "kind = \"nonlinear_gaussian_ssm\"",
        posterior: "kind = \"particle\"",
        ..Example::USUAL
    };
}

impl PosteriorKind for Particle {
    fn common(&self) -> &Common {
        &self.common
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Trajectory]
    }

    fn facts(&self) -> Facts {
        Facts {
            is_drawn: true,
            samples: Some(self.samples),
            ..Facts::PLAIN
        }
    }

    fn draws(&self, joint: &dyn Joint, _phi: &Parameters, _step: u64, generator: &mut Generator) -> Result<Draws> {
        let StateSpaceOf { dynamics, sequences } = provided(joint.state_space(), "a state space")?;
        let filter = BootstrapFilter::new(dynamics, sequences, self.particles)?;
        let (beliefs, log_likelihood) = filter.trajectories(self.samples, generator)?;
        let beliefs = Arc::new(beliefs);
        let log_joint = joint.log_joint(&Latents::Trajectories(Arc::clone(&beliefs)))?; // [B, S]
        let mut log_q = log_joint.flatten_all()?.to_vec1::<f64>()?;
        for (own, value) in log_q.chunks_exact_mut(self.samples).zip(log_likelihood) {
            own.iter_mut().for_each(|q| *q -= value);
        }
        let beliefs = Arc::unwrap_or_clone(beliefs);
        trajectory::draws(TrajectoryPosterior { beliefs, log_q })
    }
}
