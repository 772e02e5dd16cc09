//! `log p_θ(o, x)` of a batch of sequences under a nonlinear state space, as a function of θ that candle can
//! differentiate, and estimates of `log p_θ(o)`.
//!
//! The expected log joint is one operation on θ in one row `[P]`; its backward pass uses expected moments. There is no
//! exact `log p_θ(o)`: [`Joint::log_prob_estimates`] are the estimates of independent bootstrap filters.

use super::model::Settings;
use crate::Result;
use crate::data::Batch;
use crate::math::kalman::{Beliefs, ExpectedLog, Sequences};
use crate::math::nonlinear::{BasisSystem, Dynamics, expected_logs, filter_repeatedly, statistics};
use crate::math::streams::Stream;
use crate::model::sequential::{Function, Operation, terms};
use crate::model::{Estimates, StateSpaceOf};
use crate::model::{Joint, Latent, Latents};
use candle_core::{Shape, Tensor};
use std::sync::Arc;

/// A batch of sequences under one θ.
pub(super) struct NonlinearJoint<'a> {
    settings: &'a Arc<Settings>,
    /// `[P]`
    flat: Tensor,
    system: BasisSystem,
    sequences: Arc<Sequences>,
    observed: &'a Tensor,
    given: Option<&'a Tensor>,
}

impl<'a> NonlinearJoint<'a> {
    pub fn new(settings: &'a Arc<Settings>, flat: Tensor, sequences: Arc<Sequences>, batch: &'a Batch) -> Result<Self> {
        let system = settings.decode(&flat.to_vec1::<f64>()?);
        Ok(Self {
            settings,
            flat,
            system,
            sequences,
            observed: &batch.observed,
            given: batch.given.as_ref(),
        })
    }
}

impl Joint for NonlinearJoint<'_> {
    fn latent(&self) -> Latent {
        Latent::Trajectory(self.system.states())
    }

    fn log_joint(&self, latents: &Latents) -> Result<Tensor> {
        Ok(self.flat.apply_op1(Operation(ExpectedLogJoint {
            settings: self.settings.clone(),
            sequences: self.sequences.clone(),
            beliefs: latents.trajectories()?.clone(),
            is_prior: false,
        }))?)
    }

    fn terms(&self, latents: &Latents) -> Result<Vec<(&'static str, Tensor)>> {
        terms(&expected_logs(&self.system, &self.sequences, latents.trajectories()?))
    }

    fn log_prior(&self, latents: &Latents) -> Result<Tensor> {
        Ok(self.flat.apply_op1(Operation(ExpectedLogJoint {
            settings: self.settings.clone(),
            sequences: self.sequences.clone(),
            beliefs: latents.trajectories()?.clone(),
            is_prior: true,
        }))?)
    }

    fn observed(&self) -> &Tensor {
        self.observed
    }

    fn given(&self) -> Option<&Tensor> {
        self.given
    }

    fn estimates(&self) -> Option<&dyn Estimates> {
        Some(self)
    }

    fn state_space(&self) -> Option<StateSpaceOf<'_>> {
        Some(StateSpaceOf {
            dynamics: &self.system,
            sequences: &self.sequences,
        })
    }
}

impl Estimates for NonlinearJoint<'_> {
    fn log_prob_estimates(&self, numbers: &Stream) -> Result<Vec<Vec<f64>>> {
        filter_repeatedly(
            &self.system,
            &self.sequences,
            self.settings.likelihood_particles,
            numbers,
        )
    }
}

/// `[P] → [B, S]`: the expected log joint under S beliefs.
struct ExpectedLogJoint {
    settings: Arc<Settings>,
    sequences: Arc<Sequences>,
    beliefs: Arc<Vec<Beliefs>>,
    /// Only the terms `initial` and `transition`.
    is_prior: bool,
}

impl Function for ExpectedLogJoint {
    fn values(&self, flat: &[f64]) -> Result<(Vec<f64>, Shape)> {
        let all = expected_logs(&self.settings.decode(flat), &self.sequences, &self.beliefs);
        let shape = (self.sequences.count(), self.beliefs.len());
        let value = match self.is_prior {
            true => ExpectedLog::prior,
            false => ExpectedLog::total,
        };
        Ok((all.iter().flatten().map(value).collect(), shape.into()))
    }

    fn gradient(&self, flat: &[f64], gradients: &[f64]) -> Result<Vec<f64>> {
        let system = self.settings.decode(flat);
        let samples = self.beliefs.len(); // gradients: [B, S]
        let moments = statistics(&system, &self.sequences, &self.beliefs, |b, s| {
            gradients[b * samples + s]
        });
        let mut gradient = moments.gradient_of(&system.conditionals);
        if self.is_prior {
            gradient[2].coefficients.fill(0.0);
            gradient[2].noise.fill(0.0);
        }
        Ok(self.settings.pull_back(&system, &gradient))
    }
}
