//! Trajectories drawn by particles: a bootstrap filter, then backward simulation through its particles (Godsill, Doucet
//! & West 2004). EM with it is that of Schön, Wills & Ninness (2011). As N grows the draws come from the exact
//! posterior; their log q is log p(o, x) − log p̂(o), with the filter's own estimate p̂(o) of the likelihood.

use super::Common;
use crate::math::nonlinear::BootstrapFilter;
use crate::math::streams::Generator;
use crate::model::{Joint, Latents, TrajectoryPosterior};
use crate::{Error, Result};
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

impl Particle {
    /// Trajectories of the sequences of `joint`.
    pub(super) fn draws(&self, joint: &dyn Joint, generator: &mut Generator) -> Result<TrajectoryPosterior> {
        let (system, sequences) = joint.dynamics().ok_or_else(super::trajectory::no_trajectories)?;
        let filter = BootstrapFilter::new(system, sequences, self.particles)?;
        let (beliefs, log_likelihood) = filter.trajectories(self.samples, generator)?;
        let latents = Latents::Trajectories(Arc::new(beliefs));
        let mut log_q = joint.log_joint(&latents)?.flatten_all()?.to_vec1::<f64>()?; // [B, S]
        for (own, value) in log_q.chunks_exact_mut(self.samples).zip(log_likelihood) {
            own.iter_mut().for_each(|q| *q -= value);
        }
        let Latents::Trajectories(beliefs) = latents else {
            return Err(Error::Other(
                "expected trajectories from the backward simulation".into(),
            ));
        };
        let beliefs = Arc::unwrap_or_clone(beliefs);
        Ok(TrajectoryPosterior { beliefs, log_q })
    }
}
