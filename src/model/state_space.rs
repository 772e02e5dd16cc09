//! The linear-Gaussian state space as a [`Model`]: its parameters, its joint, its closed-form M-step.
//!
//! θ holds what is learnt: vectors and matrices as they are, covariances as `log_variances` (diagonal `[X]`, spherical
//! `[1]`) or as a `factor` L `[X, X]` whose diagonal is a logarithm, so that any real numbers are a covariance. All arithmetic
//! is in f64, whatever the type of θ. Gradients come from expected moments by Fisher's identity, not from the graph: a
//! forward pass filters, a backward pass filters and smooths.

mod joint;
mod settings;

pub use settings::{Field, Settings};

use super::linear_gaussian_ssm::FirstValues;
use super::sequential::{flat, floor_events, refuse_constant_columns, sequences};
use super::{ClosedForm, Guess, Improvement, Joint, Latent, Model, Sweeps};
use crate::data::{Batch, Dataset};
use crate::math::kalman::{Filtered, Learning, Sequences, Statistics, System, expectation};
use crate::math::streams::{Generator, Streams};
use crate::nn::Parameters;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use joint::StateSpaceJoint;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A linear-Gaussian state space for data of given widths.
#[derive(Debug)]
pub struct StateSpace {
    core: Arc<Core>,
    source: FirstValues,
}

/// What is learnt, and how θ says it.
#[derive(Debug)]
pub(super) struct Core {
    pub settings: Settings,
    pub learning: Learning,
}

impl StateSpace {
    /// The model with these settings, for sequences like `train`.
    pub(super) fn new(settings: Settings, source: FirstValues, train: &Dataset) -> Result<Self> {
        let learning = settings.learning();
        for rule in [&learning.initial, &learning.transition, &learning.emission] {
            rule.check()?;
        }
        if learning.emission.noise.free.contains(&true) {
            refuse_constant_columns(train, "emission_noise")?;
        }
        let core = Arc::new(Core { settings, learning });
        Ok(Self { core, source })
    }

    fn system(&self, theta: &Parameters) -> Result<System> {
        let flat = self.core.flat(theta)?.to_vec1::<f64>()?;
        Ok(self.core.settings.decode(&flat))
    }

    fn theta(&self, system: &System, dtype: DType, device: &Device) -> Result<Parameters> {
        let mut theta = Parameters::new();
        for (slot, values) in self.core.settings.encode(system) {
            theta.insert(
                slot.name,
                &Tensor::from_vec(values, slot.shape, device)?.to_dtype(dtype)?,
            )?;
        }
        Ok(theta)
    }
}

impl Core {
    /// θ in one row, in f64 on the processor. `[P]`
    fn flat(&self, theta: &Parameters) -> Result<Tensor> {
        flat(theta, self.settings.slots().into_iter().map(|slot| slot.name))
    }
}

impl Model for StateSpace {
    fn latent(&self) -> Latent {
        Latent::Trajectory(self.core.settings.states)
    }

    fn initial(
        &self,
        data: &Dataset,
        streams: &Streams,
        start: u64,
        dtype: DType,
        device: &Device,
    ) -> Result<Parameters> {
        let rng = &mut streams.named("initial/state_space").at(start);
        let sequences = data.sequences()?;
        let settings = &self.core.settings;
        let identified = match self.source {
            FirstValues::Subspace if start == 0 => {
                let inputs = data.given.as_ref().map_or(&[][..], |inputs| inputs.values());
                System::by_subspace(&sequences, data.observed.values(), inputs, settings.states)
            }
            _ => None,
        };
        let mut system = identified.unwrap_or_else(|| settings.random(data, rng));
        settings.overlay(&mut system);
        system.check()?;
        self.theta(&system, dtype, device)
    }

    fn joint<'a>(&'a self, theta: &'a Parameters, batch: &'a Batch) -> Result<Box<dyn Joint + 'a>> {
        let (flat, sequences) = (self.core.flat(theta)?, sequences(batch)?);
        let joint = StateSpaceJoint::new(&self.core, flat, sequences, &batch.observed)?;
        Ok(Box::new(joint))
    }

    fn natural(&self, theta: &Parameters) -> Result<BTreeMap<String, Tensor>> {
        let system = self.system(theta)?;
        let mut all = BTreeMap::new();
        for field in Field::ALL {
            let matrix = field.get(&system);
            let (rows, columns) = matrix.shape();
            if rows * columns == 0 {
                continue;
            }
            let values = matrix.transpose().as_slice().to_vec();
            let tensor = match field.is_vector() {
                true => Tensor::from_vec(values, rows, &Device::Cpu)?,
                false => Tensor::from_vec(values, (rows, columns), &Device::Cpu)?,
            };
            all.insert(field.name().to_owned(), tensor);
        }
        Ok(all)
    }

    fn state_space(&self, theta: &Parameters) -> Result<Option<System>> {
        Ok(Some(self.system(theta)?))
    }

    fn free_parameters(&self, _theta: &Parameters) -> usize {
        let coordinates = match self.core.settings.has_free_coordinates() {
            true => self.core.settings.states.pow(2),
            false => 0,
        };
        self.core.learning.count() - coordinates
    }

    fn closed_form(&self) -> Option<&dyn ClosedForm> {
        Some(self)
    }
}

impl ClosedForm for StateSpace {
    fn sweeps<'a>(&'a self, data: &'a Dataset) -> Result<Box<dyn Sweeps + 'a>> {
        Ok(Box::new(StateSpaceSweeps {
            model: self,
            sequences: data.sequences()?,
        }))
    }
}

/// A state space with the sequences it is fitted to.
struct StateSpaceSweeps<'a> {
    model: &'a StateSpace,
    sequences: Sequences,
}

impl Sweeps for StateSpaceSweeps<'_> {
    fn improve(
        &self,
        theta: &Parameters,
        guess: Guess,
        threads: usize,
        _rng: Option<&mut Generator>,
    ) -> Result<Improvement> {
        let old = self.model.system(theta)?;
        let (log_likelihood, statistics, lower_bound) = match guess {
            Guess::Exact => {
                let (each, statistics) = expectation(&old, &self.sequences, threads)?;
                let log_likelihood = each.iter().sum();
                (log_likelihood, statistics, log_likelihood)
            }
            Guess::Trajectories { beliefs, log_q } => {
                let mut statistics = Statistics::none(&self.sequences, old.states());
                for belief in beliefs {
                    let one = Statistics::new(&self.sequences, belief, None)?;
                    statistics.add(&one, 1.0 / beliefs.len() as f64);
                }
                let log_likelihood = Filtered::new(&old, &self.sequences)?.log_likelihood().iter().sum();
                let bound = statistics.expected_log(&old).total() - log_q;
                (log_likelihood, statistics, bound)
            }
            Guess::Responsibilities(_) => {
                return Err(Error::Other("a trajectory was guessed as a finite latent".into()));
            }
        };
        let (system, floored) = self.model.core.learning.maximize(&old, &statistics)?;
        Ok(Improvement {
            log_likelihood: Some(log_likelihood),
            lower_bound,
            theta: self.model.theta(&system, theta.dtype(), &theta.device())?,
            events: floor_events(&floored),
        })
    }
}
