//! `log p_θ(o, x)` of a batch of sequences, and `log p_θ(o)`, as functions of θ that candle can differentiate.
//!
//! Both are single operations on θ in one row `[P]`. Backward, `Σ_b g_b ∇ log p_θ(o_b)` is the gradient of the expected log
//! joint under the smoother's beliefs, each sequence counted g_b times (Fisher's identity); with given beliefs it is
//! the gradient of the expected log joint itself.

use super::Core;
use crate::math::kalman::{Beliefs, ExpectedLog, Filtered, Sequences, Statistics, System, expected_logs};
use crate::math::nonlinear::Dynamics;
use crate::math::streams::Generator;
use crate::model::{Guesses, Joint, Latent, Latents, Trajectories};
use crate::{Error, Result};
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Shape, Tensor};
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

    /// Expected logs by belief and sequence.
    fn expected(&self, beliefs: &[Beliefs]) -> Vec<Vec<ExpectedLog>> {
        let one = |belief| expected_logs(&self.system, &self.sequences, belief);
        beliefs.iter().map(one).collect()
    }
}

/// `[S][B]` numbers as a row-major `[B, S]`.
fn by_sequence(values: &[Vec<ExpectedLog>], pick: impl Fn(&ExpectedLog) -> f64) -> Vec<f64> {
    let count = values.first().map_or(0, Vec::len);
    (0..count)
        .flat_map(|b| values.iter().map(|own| pick(&own[b])).collect::<Vec<_>>())
        .collect()
}

impl Joint for StateSpaceJoint<'_> {
    fn latent(&self) -> Latent {
        Latent::Trajectory(self.system.states())
    }

    fn log_joint(&self, latents: &Latents) -> Result<Tensor> {
        Ok(self.flat.apply_op1(Operation {
            core: self.core.clone(),
            sequences: self.sequences.clone(),
            beliefs: Some(latents.trajectories()?.clone()),
        })?)
    }

    fn terms(&self, latents: &Latents) -> Result<Vec<(&'static str, Tensor)>> {
        let beliefs = latents.trajectories()?;
        let all = self.expected(beliefs);
        let term = |name, pick: fn(&ExpectedLog) -> f64| {
            let shape = (self.sequences.count(), beliefs.len());
            let values = Tensor::from_vec(by_sequence(&all, pick), shape, &Device::Cpu)?;
            Ok::<_, Error>((name, values))
        };
        Ok(vec![
            term("initial", |e| e.initial)?,
            term("transition", |e| e.transition)?,
            term("emission", |e| e.emission)?,
        ])
    }

    fn log_prob(&self) -> Result<Tensor> {
        Ok(self.flat.apply_op1(Operation {
            core: self.core.clone(),
            sequences: self.sequences.clone(),
            beliefs: None,
        })?)
    }

    fn mean(&self) -> Result<Tensor> {
        Err(Error::Other("a state space has no mean of independent rows".into()))
    }

    fn trajectories(&self) -> Option<&dyn Trajectories> {
        Some(self)
    }

    fn dynamics(&self) -> Option<(&dyn Dynamics, &Sequences)> {
        Some((&self.system, &self.sequences))
    }

    fn observed(&self) -> &Tensor {
        self.observed
    }
}

impl Trajectories for StateSpaceJoint<'_> {
    fn smoothed(&self) -> Result<Guesses> {
        let filtered = Filtered::new(&self.system, &self.sequences)?;
        Ok(self.guesses(&filtered, vec![filtered.smooth()]))
    }

    fn filtered(&self) -> Result<Guesses> {
        let filtered = Filtered::new(&self.system, &self.sequences)?;
        Ok(Guesses {
            beliefs: vec![filtered.beliefs()],
            log_q: filtered.entropy().into_iter().map(|entropy| -entropy).collect(),
        })
    }

    fn sampled(&self, samples: usize, generator: &mut Generator) -> Result<Guesses> {
        let filtered = Filtered::new(&self.system, &self.sequences)?;
        let draws = (0..samples).map(|_| filtered.draw(generator)).collect();
        Ok(self.guesses(&filtered, draws))
    }
}

impl StateSpaceJoint<'_> {
    /// Guesses from the exact posterior: log q is log p(o, x) − log p(o).
    fn guesses(&self, filtered: &Filtered, beliefs: Vec<Beliefs>) -> Guesses {
        let mut log_q = by_sequence(&self.expected(&beliefs), ExpectedLog::total);
        for (own, value) in log_q.chunks_exact_mut(beliefs.len()).zip(filtered.log_likelihood()) {
            own.iter_mut().for_each(|q| *q -= value);
        }
        Guesses { beliefs, log_q }
    }
}

/// `[P] → [B]`: log p_θ(o); with S beliefs `[P] → [B, S]`: the expected log joint.
struct Operation {
    core: Arc<Core>,
    sequences: Arc<Sequences>,
    beliefs: Option<Arc<Vec<Beliefs>>>,
}

impl Operation {
    fn forward(&self, flat: &[f64]) -> Result<(Vec<f64>, Shape)> {
        let system = self.core.system(flat)?;
        let count = self.sequences.count();
        match &self.beliefs {
            None => {
                let filtered = Filtered::new(&system, &self.sequences)?;
                Ok((filtered.log_likelihood().to_vec(), count.into()))
            }
            Some(beliefs) => {
                let one = |belief| expected_logs(&system, &self.sequences, belief);
                let all: Vec<_> = beliefs.iter().map(one).collect();
                Ok((by_sequence(&all, ExpectedLog::total), (count, beliefs.len()).into()))
            }
        }
    }

    fn backward(&self, flat: &[f64], slopes: &[f64]) -> Result<Vec<f64>> {
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
            let own = slopes.iter().skip(s).step_by(beliefs.len());
            // Moments take weights ≥ 0: the parts of either sign apart.
            for sign in [1.0, -1.0] {
                let weights: Vec<f64> = own.clone().map(|slope| (sign * slope).max(0.0)).collect();
                if weights.iter().any(|w| *w > 0.0) {
                    sum.add(&Statistics::new(&self.sequences, belief, Some(&weights))?, sign);
                }
            }
        }
        let gradient = sum.gradient(&system);
        Ok(self.core.settings.pull_back(flat, &system, &gradient))
    }
}

impl CustomOp1 for Operation {
    fn name(&self) -> &'static str {
        "state_space"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let flat = match (storage, layout.contiguous_offsets()) {
            (CpuStorage::F64(values), Some((start, end))) => &values[start..end],
            _ => candle_core::bail!("a state space takes one contiguous row of f64"),
        };
        let (values, shape) = self.forward(flat).map_err(candle_core::Error::wrap)?;
        Ok((CpuStorage::F64(values), shape))
    }

    fn bwd(&self, flat: &Tensor, _value: &Tensor, slopes: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let values = flat.to_vec1::<f64>()?;
        let slopes = slopes.flatten_all()?.to_vec1::<f64>()?;
        let gradient = self.backward(&values, &slopes).map_err(candle_core::Error::wrap)?;
        Ok(Some(Tensor::from_vec(gradient, flat.shape(), &Device::Cpu)?))
    }
}
