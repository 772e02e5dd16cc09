//! `log p_θ(o, x)` of a batch of sequences, and `log p_θ(o)`, as functions of θ that candle can differentiate.
//!
//! Both are single operations on θ in one row `[P]`. In the backward pass `Σ_b g_b ∇ log p_θ(o_b)` is the gradient of
//! the expected log joint under the smoother's beliefs, each sequence counted g_b times (Fisher's identity); with given
//! beliefs it is the gradient of the expected log joint itself.

use super::model::Core;
use crate::Result;
use crate::math::kalman::{Beliefs, ExpectedLog, Filtered, Sequences, Statistics, System, expected_logs};
use crate::math::streams::Generator;
use crate::model::sequential::{Function, Operation, terms};
use crate::model::{ExactPosterior, Marginal, StateSpaceOf};
use crate::model::{Joint, Latent, Latents, Trajectories, TrajectoryPosterior};
use candle_core::{Shape, Tensor};
use std::sync::Arc;

/// A batch of sequences under one θ.
pub(super) struct StateSpaceJoint<'a> {
    core: &'a Arc<Core>,
    /// `[P]`
    flat: Tensor,
    system: System,
    sequences: Arc<Sequences>,
    observed: &'a Tensor,
}

impl<'a> StateSpaceJoint<'a> {
    pub fn new(core: &'a Arc<Core>, flat: Tensor, sequences: Arc<Sequences>, observed: &'a Tensor) -> Result<Self> {
        let system = core.system(&flat.to_vec1::<f64>()?)?;
        Ok(Self {
            core,
            flat,
            system,
            sequences,
            observed,
        })
    }
}

/// Expected logs of `system`, `[B][S]`.
fn expected(system: &System, sequences: &Sequences, beliefs: &[Beliefs]) -> Vec<Vec<ExpectedLog>> {
    let by_belief: Vec<_> = beliefs
        .iter()
        .map(|belief| expected_logs(system, sequences, belief))
        .collect();
    let of = |b: usize| by_belief.iter().map(|logs| logs[b]).collect();
    (0..sequences.count()).map(of).collect()
}

fn totals(logs: &[Vec<ExpectedLog>]) -> Vec<f64> {
    logs.iter().flatten().map(ExpectedLog::total).collect()
}

impl Joint for StateSpaceJoint<'_> {
    fn latent(&self) -> Latent {
        Latent::Trajectory(self.system.states())
    }

    fn log_joint(&self, latents: &Latents) -> Result<Tensor> {
        Ok(self.flat.apply_op1(Operation(LogJoint {
            core: self.core.clone(),
            sequences: self.sequences.clone(),
            beliefs: Some(latents.trajectories()?.clone()),
            is_prior: false,
        }))?)
    }

    fn terms(&self, latents: &Latents) -> Result<Vec<(&'static str, Tensor)>> {
        terms(&expected(&self.system, &self.sequences, latents.trajectories()?))
    }

    fn log_prior(&self, latents: &Latents) -> Result<Tensor> {
        Ok(self.flat.apply_op1(Operation(LogJoint {
            core: self.core.clone(),
            sequences: self.sequences.clone(),
            beliefs: Some(latents.trajectories()?.clone()),
            is_prior: true,
        }))?)
    }

    fn observed(&self) -> &Tensor {
        self.observed
    }

    fn given(&self) -> Option<&Tensor> {
        None
    }

    fn marginal(&self) -> Option<&dyn Marginal> {
        Some(self)
    }

    fn exact_posterior(&self) -> Option<ExactPosterior<'_>> {
        Some(ExactPosterior::Trajectories(self))
    }

    fn state_space(&self) -> Option<StateSpaceOf<'_>> {
        Some(StateSpaceOf {
            dynamics: &self.system,
            sequences: &self.sequences,
        })
    }
}

impl Marginal for StateSpaceJoint<'_> {
    fn log_prob(&self) -> Result<Tensor> {
        Ok(self.flat.apply_op1(Operation(LogJoint {
            core: self.core.clone(),
            sequences: self.sequences.clone(),
            beliefs: None,
            is_prior: false,
        }))?)
    }

    fn log_prob_error(&self) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }
}

impl Trajectories for StateSpaceJoint<'_> {
    fn smoothed(&self) -> Result<TrajectoryPosterior> {
        let filtered = Filtered::new(&self.system, &self.sequences)?;
        Ok(self.trajectory_posterior(&filtered, vec![filtered.smooth()]))
    }

    fn filtered(&self) -> Result<TrajectoryPosterior> {
        let filtered = Filtered::new(&self.system, &self.sequences)?;
        Ok(TrajectoryPosterior {
            beliefs: vec![filtered.beliefs()],
            log_q: filtered.entropy().into_iter().map(|entropy| -entropy).collect(),
        })
    }

    fn sampled(&self, samples: usize, generator: &mut Generator) -> Result<TrajectoryPosterior> {
        let filtered = Filtered::new(&self.system, &self.sequences)?;
        let draws = (0..samples).map(|_| filtered.draw(generator)).collect();
        Ok(self.trajectory_posterior(&filtered, draws))
    }
}

impl StateSpaceJoint<'_> {
    /// Samples of the exact posterior: log q is log p(o, x) − log p(o).
    fn trajectory_posterior(&self, filtered: &Filtered, beliefs: Vec<Beliefs>) -> TrajectoryPosterior {
        let mut log_q = totals(&expected(&self.system, &self.sequences, &beliefs));
        for (own, value) in log_q.chunks_exact_mut(beliefs.len()).zip(filtered.log_likelihood()) {
            own.iter_mut().for_each(|q| *q -= value);
        }
        TrajectoryPosterior { beliefs, log_q }
    }
}

/// `[P] → [B]`: log p_θ(o); with S beliefs `[P] → [B, S]`: the expected log joint.
struct LogJoint {
    core: Arc<Core>,
    sequences: Arc<Sequences>,
    beliefs: Option<Arc<Vec<Beliefs>>>,
    /// With beliefs: only the terms `initial` and `transition`, `[P] → [B, S]`.
    is_prior: bool,
}

impl Function for LogJoint {
    fn values(&self, flat: &[f64]) -> Result<(Vec<f64>, Shape)> {
        let system = self.core.system(flat)?;
        let count = self.sequences.count();
        match &self.beliefs {
            None => {
                let filtered = Filtered::new(&system, &self.sequences)?;
                Ok((filtered.log_likelihood().to_vec(), count.into()))
            }
            Some(beliefs) => {
                let all = expected(&system, &self.sequences, beliefs);
                let values = match self.is_prior {
                    true => all.iter().flatten().map(ExpectedLog::prior).collect(),
                    false => totals(&all),
                };
                Ok((values, (count, beliefs.len()).into()))
            }
        }
    }

    fn gradient(&self, flat: &[f64], gradients: &[f64]) -> Result<Vec<f64>> {
        let system = self.core.system(flat)?;
        let exact;
        let beliefs: &[Beliefs] = match &self.beliefs {
            Some(beliefs) => beliefs,
            None => {
                exact = [Filtered::new(&system, &self.sequences)?.smooth()];
                &exact
            }
        };
        let mut sum = Statistics::none(&self.sequences, system.states());
        for (s, belief) in beliefs.iter().enumerate() {
            let own = gradients.iter().skip(s).step_by(beliefs.len());
            // Moments need weights ≥ 0, so weights of each sign are handled separately.
            for sign in [1.0, -1.0] {
                let weights: Vec<f64> = own.clone().map(|gradient| (sign * gradient).max(0.0)).collect();
                if weights.iter().any(|w| *w > 0.0) {
                    sum.add(&Statistics::new(&self.sequences, belief, Some(&weights))?, sign);
                }
            }
        }
        let mut gradient = sum.gradient(&system);
        if self.is_prior {
            gradient.emission.fill(0.0);
            gradient.emission_input.fill(0.0);
            gradient.emission_offset.fill(0.0);
            gradient.emission_noise.fill(0.0);
        }
        Ok(self.core.settings.pull_back(flat, &system, &gradient))
    }
}
