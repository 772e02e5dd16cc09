//! The closed-form M-step: the θ that maximises the expected log-likelihood for a fixed posterior, in f64.

use crate::Result;
use crate::data::Dataset;
use crate::error::provided;
use crate::math::kalman::Beliefs;
use crate::math::streams::Generator;
use crate::nn::Parameters;

/// The latents as the M-step sees them.
#[derive(Debug, Clone, Copy)]
pub enum EStep<'a> {
    /// The exact posterior of the current θ; responsibilities are computed during the pass and never stored.
    Exact,
    /// Responsibilities by row and component, `[N, K]`, each row summing to 1.
    Responsibilities(&'a [f64]),
    /// Beliefs over the trajectories of all sequences, averaged.
    Trajectories {
        /// The beliefs. `[S]`
        beliefs: &'a [Beliefs],
        /// Their mean log q, summed over sequences, in nats.
        log_q: f64,
    },
}

/// The result of one sweep: bounds under the old θ, and the new θ.
#[derive(Debug, Clone)]
pub struct Improvement {
    /// `Σ_i w_i log p_θ(x_i)` of the *old* θ, in nats; none if it has no closed form.
    pub log_likelihood: Option<f64>,
    /// `Σ_i w_i Σ_z r_iz [log p_θ(x_i, z) − log r_iz]` of the old θ, in nats; with the exact posterior, equal to
    /// `log_likelihood`.
    pub lower_bound: f64,
    /// The maximiser.
    pub theta: Parameters,
    /// Components that were reset, and covariances at their floor.
    pub events: Vec<String>,
}

/// A model with a closed-form M-step.
pub trait ClosedForm {
    /// Prepares sweeps over `data`.
    fn sweeps<'a>(&'a self, data: &'a Dataset) -> Result<Box<dyn Sweeps + 'a>>;
}

/// Sweeps over one data set, by what is known of the latents. A model has those whose M-step it knows.
pub trait Sweeps {
    /// Sweeps with the exact posterior of the current θ.
    fn exact(&self) -> Option<&dyn ExactSweep>;

    /// Sweeps with responsibilities of a finite latent.
    fn responsibilities(&self) -> Option<&dyn ResponsibilitySweep>;

    /// Sweeps with beliefs over trajectories.
    fn trajectories(&self) -> Option<&dyn TrajectorySweep>;
}

/// Sweeps with the exact posterior; what is needed of it is computed during the pass and never stored.
pub trait ExactSweep {
    /// One sweep from `theta` with `threads` threads (results do not depend on their number). Components that are empty
    /// or collapsed are reset with `rng`; without it they stay.
    fn improve(&self, theta: &Parameters, threads: usize, rng: Option<&mut Generator>) -> Result<Improvement>;
}

/// Sweeps with given responsibilities.
pub trait ResponsibilitySweep {
    /// One sweep, as [`ExactSweep::improve`], with `responsibilities` by row and component, `[N, K]`, each row summing to 1.
    fn improve(
        &self,
        theta: &Parameters,
        responsibilities: &[f64],
        threads: usize,
        rng: Option<&mut Generator>,
    ) -> Result<Improvement>;
}

/// Sweeps with given beliefs over the trajectories of all sequences.
pub trait TrajectorySweep {
    /// One sweep from `theta` with the mean of `beliefs` `[S]`, whose mean log q, summed over sequences, is `log_q` nats.
    fn improve(&self, theta: &Parameters, beliefs: &[Beliefs], log_q: f64) -> Result<Improvement>;
}

impl dyn Sweeps + '_ {
    /// One sweep with these latents, for callers that know that the model has it.
    ///
    /// # Errors
    /// [`Error::Lacking`](crate::Error::Lacking) if it has not.
    pub fn improve(
        &self,
        theta: &Parameters,
        e_step: EStep,
        threads: usize,
        rng: Option<&mut Generator>,
    ) -> Result<Improvement> {
        match e_step {
            EStep::Exact => provided(self.exact(), "an M-step for its exact posterior")?.improve(theta, threads, rng),
            EStep::Responsibilities(all) => {
                provided(self.responsibilities(), "an M-step for responsibilities")?.improve(theta, all, threads, rng)
            }
            EStep::Trajectories { beliefs, log_q } => {
                provided(self.trajectories(), "an M-step for trajectories")?.improve(theta, beliefs, log_q)
            }
        }
    }
}
