//! The linear-Gaussian state space as a [`Model`]: its parameters, its joint, its closed-form M-step.
//!
//! θ holds the learnt parameters: vectors and matrices directly, covariances as `log_variances` (diagonal `[X]`,
//! spherical `[1]`) or as a `factor` L `[X, X]` whose diagonal is a logarithm, so any real numbers give a covariance.
//! All arithmetic is in f64, for any type of θ. Gradients come from expected moments by Fisher's identity, not from the
//! graph: the forward pass filters, the backward pass filters and smooths.

use super::InitialValues;
use super::field::Field;
use super::joint::{Parametrisation, StateSpaceJoint, finite};
use super::settings::Settings;
use crate::data::{Batch, Dataset};
use crate::math::kalman::{Beliefs, Filtered, Learning, Sequences, Statistics, System, expectation};
use crate::math::streams::{Generator, Streams};
use crate::model::sequential::{flat, floor_events, refuse_constant_columns, sequences};
use crate::model::{
    ClosedForm, ExactSweep, Improvement, Joint, Latent, LikelihoodKind, Model, ResponsibilitySweep, Sweeps,
    TrajectorySweep,
};
use crate::nn::Parameters;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use nalgebra::{DMatrix, DVector};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The first starts of EM are by subspace identification, each from a longer past; later ones are random.
const SUBSPACE_STARTS: u64 = 2;

/// The variance of a first state that is not learnt, in units in which the states' own is about 1.
const WIDE_VARIANCE: f64 = 10.0;

/// A linear-Gaussian state space for data with given numbers of columns.
#[derive(Debug)]
pub struct StateSpace {
    core: Arc<Core>,
    source: InitialValues,
    /// Whether the file sets `initial_values`.
    is_asked: bool,
}

/// The learnt parameters and their form in θ.
#[derive(Debug)]
pub(super) struct Core {
    pub settings: Settings,
    pub learning: Learning,
}

impl StateSpace {
    /// The model with these settings, for sequences like `train`.
    ///
    /// One sequence cannot tell the variance of its first state, whose likelihood is largest without any: where the file says
    /// nothing of P₁, it is then held at a wide value.
    pub(super) fn new(mut settings: Settings, source: InitialValues, is_asked: bool, train: &Dataset) -> Result<Self> {
        if train.len() == 1 && settings.is_free(Field::InitialCovariance) {
            let x = settings.states;
            let variance = WIDE_VARIANCE * settings.scale(train);
            settings.fix(Field::InitialCovariance, DMatrix::identity(x, x) * variance);
        }
        let learning = settings.learning();
        for rule in [&learning.initial, &learning.transition, &learning.emission] {
            rule.check()?;
        }
        refuse_empty_columns(train)?;
        if learning.emission.noise.free.contains(&true) {
            refuse_constant_columns(train, "emission_noise")?;
        }
        let core = Arc::new(Core { settings, learning });
        Ok(Self { core, source, is_asked })
    }

    pub(super) fn system(&self, theta: &Parameters) -> Result<System> {
        self.core.system(&self.core.flat(theta)?.to_vec1()?)
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

/// Refuses columns with no observed value: their coefficients are unidentified.
fn refuse_empty_columns(train: &Dataset) -> Result<()> {
    let is_empty = |j: &usize| train.observed.column(*j).all(f64::is_nan);
    match (0..train.observed.columns()).find(is_empty) {
        Some(j) => Err(Error::Data(format!(
            "observed column {} (from 1) has no value in the training sequences of this seed: leave the column out, or hold \
             out other sequences",
            j + 1
        ))),
        None => Ok(()),
    }
}

impl Parametrisation for Core {
    fn system(&self, flat: &[f64]) -> Result<System> {
        finite(self.settings.decode(flat))
    }

    fn pull_back(&self, flat: &[f64], system: &System, gradient: &System) -> Vec<f64> {
        self.settings.pull_back(flat, system, gradient)
    }
}

impl Core {
    /// θ in one row, in f64 on the CPU. `[P]`
    fn flat(&self, theta: &Parameters) -> Result<Tensor> {
        flat(theta, self.settings.slots().into_iter().map(|slot| slot.name))
    }
}

impl Model for StateSpace {
    fn likelihood(&self) -> LikelihoodKind {
        LikelihoodKind::Exact
    }

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
            InitialValues::Subspace if start < SUBSPACE_STARTS => {
                let inputs = data.given.as_ref().map_or(&[][..], |inputs| inputs.values());
                System::by_subspace(
                    &sequences,
                    data.observed.values(),
                    inputs,
                    settings.states,
                    start as u32,
                )
            }
            _ => None,
        };
        if identified.is_none() && self.is_asked && self.source == InitialValues::Subspace && start == 0 {
            return Err(Error::Data(format!(
                "these sequences are too short or too uninformative to identify {} states: choose `initial_values = \"random\"`, \
                 fewer states, or more data",
                settings.states
            )));
        }
        let mut system = identified.unwrap_or_else(|| settings.random(data, rng));
        settings.overlay(&mut system);
        system.check()?;
        self.theta(&system, dtype, device)
    }

    fn joint<'a>(&'a self, theta: &'a Parameters, batch: &'a Batch) -> Result<Box<dyn Joint + 'a>> {
        let (flat, sequences) = (self.core.flat(theta)?, sequences(batch)?);
        let joint = StateSpaceJoint::new(self.core.clone(), flat, sequences, &batch.observed)?;
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
        self.core.learning.count() - self.core.settings.free_coordinates()
    }

    fn closed_form(&self) -> Option<&dyn ClosedForm> {
        Some(self)
    }
}

impl ClosedForm for StateSpace {
    fn sweeps<'a>(&'a self, data: &'a Dataset) -> Result<Box<dyn Sweeps + 'a>> {
        let centre: Vec<f64> = (0..data.observed.columns())
            .map(|j| mean_present(data.observed.column(j)))
            .collect();
        let mut centred = data.clone();
        for (at, value) in centred.observed.values_mut().iter_mut().enumerate() {
            *value -= centre[at % centre.len()];
        }
        Ok(Box::new(StateSpaceSweeps {
            model: self,
            sequences: centred.sequences()?,
            centre: DVector::from_vec(centre),
        }))
    }
}

/// The mean of the values that are not missing; 0 if there are none.
fn mean_present(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values
        .filter(|v| !v.is_nan())
        .fold((0.0, 0.0), |(sum, n), v| (sum + v, n + 1.0));
    sum / f64::max(count, 1.0)
}

/// A state space with the sequences it is fitted to. Sweeps work on `o − c` and `d − c`, an equivalent problem: second
/// moments of data far from 0 would lose the noise to rounding.
struct StateSpaceSweeps<'a> {
    model: &'a StateSpace,
    sequences: Sequences,
    /// c. `[O]`
    centre: DVector<f64>,
}

impl Sweeps for StateSpaceSweeps<'_> {
    fn exact(&self) -> Option<&dyn ExactSweep> {
        Some(self)
    }

    fn responsibilities(&self) -> Option<&dyn ResponsibilitySweep> {
        None
    }

    fn trajectories(&self) -> Option<&dyn TrajectorySweep> {
        Some(self)
    }
}

impl ExactSweep for StateSpaceSweeps<'_> {
    fn improve(&self, theta: &Parameters, threads: usize, _rng: Option<&mut Generator>) -> Result<Improvement> {
        let old = self.system(theta)?;
        let (each, statistics) = expectation(&old, &self.sequences, threads)?;
        let log_likelihood = each.iter().sum();
        self.maximized(theta, &old, &statistics, [log_likelihood, log_likelihood])
    }
}

impl TrajectorySweep for StateSpaceSweeps<'_> {
    fn improve(&self, theta: &Parameters, beliefs: &[Beliefs], log_q: f64) -> Result<Improvement> {
        let old = self.system(theta)?;
        let mut statistics = Statistics::none(&self.sequences, old.states());
        for belief in beliefs {
            let one = Statistics::new(&self.sequences, belief, None)?;
            statistics.add(&one, 1.0 / beliefs.len() as f64);
        }
        let log_likelihood = Filtered::new(&old, &self.sequences)?.log_likelihood().iter().sum();
        let bound = statistics.expected_log(&old).total() - log_q;
        self.maximized(theta, &old, &statistics, [log_likelihood, bound])
    }
}

impl StateSpaceSweeps<'_> {
    /// The system of θ for centred observations.
    fn system(&self, theta: &Parameters) -> Result<System> {
        let mut system = self.model.system(theta)?;
        system.emission_offset -= &self.centre;
        Ok(system)
    }

    /// The M-step, with log p(o) and the lower bound of the old θ.
    fn maximized(
        &self,
        theta: &Parameters,
        old: &System,
        statistics: &Statistics,
        [log_likelihood, lower_bound]: [f64; 2],
    ) -> Result<Improvement> {
        let (mut system, floored) = self.model.core.learning.maximize(old, statistics)?;
        system.emission_offset += &self.centre;
        Ok(Improvement {
            log_likelihood: Some(log_likelihood),
            lower_bound,
            theta: self.model.theta(&system, theta.dtype(), &theta.device())?,
            events: floor_events(&floored),
        })
    }
}
