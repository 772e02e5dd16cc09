//! Where a trained posterior places the present: E_q[x_T | o_1 … o_T, u_1 … u_{T−1}] of a window of one episode.
//!
//! The window is a sequence of T steps, so that every family of q can be used: `single_step` sees its last observation,
//! `filtering` and `smoothing` the whole window, `initial_only` places its first step and follows the transition from
//! there. The action after the last observation is not known yet; it is given as the middle of its bounds.

use crate::Result;
use crate::data::{Batch, Dataset, Standardization, Table};
use crate::error::provided;
use crate::math::streams::Generator;
use crate::model::{Latents, Model, Sequential};
use crate::nn::Parameters;
use crate::posterior::PosteriorConfig;
use candle_core::{DType, Device, Tensor};
use std::sync::Arc;

/// Paths that are averaged, where the means of q have no closed form.
const DRAWS: usize = 32;

/// A trained posterior.
#[derive(Debug, Clone)]
pub struct Encoder<'a> {
    /// log p(x, o | u).
    pub model: &'a dyn Model,
    /// θ and φ.
    pub theta: Parameters,
    /// q.
    pub posterior: &'a PosteriorConfig,
    /// Steps of training, which a temperature may depend on.
    pub steps: u64,
    /// The units of observations and actions in the data.
    pub standardization: &'a Standardization,
}

impl Encoder<'_> {
    /// The joint of one window: observations `[T, O]`, bytes of images as numbers from 0 to 1, and T actions `[T, U]`.
    fn batch(&self, observed: &[f64], columns: usize, actions: &[f64]) -> Result<Batch> {
        let mut seen = Table::new(observed.to_vec(), columns.max(1));
        self.standardization.observed.apply(&mut seen);
        let steps = seen.rows();
        let inputs = actions.len() / steps.max(1);
        let given = match inputs {
            0 => None,
            _ => {
                let mut given = Table::new(actions.to_vec(), inputs);
                self.standardization.given.apply(&mut given);
                Some(Tensor::from_slice(given.values(), (steps, inputs), &Device::Cpu)?)
            }
        };
        let rows = Dataset {
            observed: seen.into(),
            ..Dataset::default()
        };
        let reduced = self.model.reduced(&rows)?;
        let observed = &reduced.as_ref().unwrap_or(&rows).observed;
        Ok(Batch {
            observed: observed.tensor(0..steps, DType::F64, &Device::Cpu)?,
            given,
            weights: None,
            lengths: Some(Arc::from([steps])),
        })
    }

    /// The sequence of a window as tensors.
    ///
    /// # Errors
    /// If the model has no states as tensors.
    pub fn sequence(&self, observed: &[f64], columns: usize, actions: &[f64]) -> Result<Arc<dyn Sequential>> {
        let batch = self.batch(observed, columns, actions)?;
        let joint = self.model.joint(&self.theta, &batch)?;
        provided(joint.sequential(), "states as tensors")
    }

    /// The mean state of the last step of a window, with what a recurrent transition carries. `[X + H]`
    ///
    /// # Errors
    /// If the posterior cannot be computed.
    pub fn encode(
        &self,
        observed: &[f64],
        columns: usize,
        actions: &[f64],
        generator: &mut Generator,
    ) -> Result<Vec<f64>> {
        let batch = self.batch(observed, columns, actions)?;
        let joint = self.model.joint(&self.theta, &batch)?;
        let draws = self
            .posterior
            .draws(joint.as_ref(), &self.theta, self.steps, generator)?;
        let means = draws.q.as_ref().map(|q| q.state_means()).transpose()?.flatten();
        let (latents, weights) = match (means, &draws.q) {
            (Some(means), _) => (Latents::Paths(means.unsqueeze(1)?), None),
            (None, Some(q)) => (q.draw(DRAWS, generator)?, None),
            (None, None) => (draws.latents, Some(draws.weights)),
        };
        let Latents::Paths(paths) = latents else {
            return Err(latents.unexpected("paths of states"));
        };
        let (_, samples, steps, _) = paths.dims4()?;
        let sequential = provided(joint.sequential(), "states as tensors")?;
        let carried = sequential.carried(&paths)?; // S T rows
        let last = |rows: &Tensor| -> Result<Tensor> {
            let rows = rows
                .reshape((samples, steps, ()))?
                .narrow(1, steps - 1, 1)?
                .squeeze(1)?;
            let rows = rows.to_dtype(DType::F64)?; // [S, ·]
            Ok(match &weights {
                Some(weights) => {
                    let weights = weights.to_dtype(DType::F64)?.reshape((samples, 1))?;
                    rows.broadcast_mul(&weights)?.sum(0)?
                }
                None => rows.mean(0)?,
            })
        };
        let mut state: Vec<f64> = last(&carried.state)?.to_vec1()?;
        if let Some(h) = &carried.deterministic {
            state.extend(last(h)?.to_vec1::<f64>()?);
        }
        Ok(state)
    }
}
