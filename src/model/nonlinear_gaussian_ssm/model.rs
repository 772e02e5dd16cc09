//! The nonlinear state space as a [`Model`]: its parameters, its joint, its closed-form M-step.
//!
//! Given trajectories, (W, Q) and (V, R) are linear regressions on φ and ψ, so EM is that of a linear system with other
//! regressors; with particles it is the EM of Schön, Wills & Ninness (2011). θ holds the learnt parameters:
//! coefficients and means directly, variances as logarithms.

use super::joint::NonlinearJoint;
use crate::Result;
use crate::data::{Batch, Dataset};
use crate::math::kalman::{Beliefs, Conditional, Learning, Noise, NoiseForm, Regression, Sequences};
use crate::math::nonlinear::{Basis, BasisSystem, Predictor, statistics};
use crate::math::streams::Streams;
use crate::model::sequential::{flat, floor_events, refuse_constant_columns, sequences};
use crate::model::{
    ClosedForm, ExactSweep, Improvement, Joint, Latent, LikelihoodKind, Model, ResponsibilitySweep, Sweeps,
    TrajectorySweep,
};
use crate::nn::Parameters;
use candle_core::{DType, Device, Tensor};
use nalgebra::{DMatrix, DVector};
use rand::RngExt;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Names of the parameters: of each conditional Gaussian, the coefficients and then the variances.
const NAMES: [&str; 6] = [
    "initial_mean",
    "initial_variances",
    "transition",
    "transition_variances",
    "emission",
    "emission_variances",
];

/// Learnt variances stay above this, so that their logarithm is finite.
const LEAST_VARIANCE: f64 = 1e-300;

/// The settings of one parameter.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entries {
    /// Fixed values; NaN for learnt entries.
    pub fixed: Vec<f64>,
    /// Initial values.
    pub start: Vec<f64>,
}

impl Entries {
    fn is_learnt(&self) -> bool {
        self.fixed.iter().any(|v| v.is_nan())
    }
}

/// The settings of all parameters.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// φ and ψ.
    pub functions: [Basis; 2],
    /// The names of the entries of W and V, in rows.
    pub names: [Vec<Option<String>>; 2],
    /// In the order of [`NAMES`].
    pub entries: [Entries; 6],
    /// Initial values lie within this fraction of `start`.
    pub spread: f64,
    /// Particles of an estimate of the log-likelihood and of predictions.
    pub likelihood_particles: usize,
}

/// Whether parameter `number` holds variances.
fn is_variance(number: usize) -> bool {
    number % 2 == 1
}

impl Settings {
    /// Numbers of the parameters of θ, in θ's order.
    fn learnt(&self) -> Vec<usize> {
        let mut learnt: Vec<usize> = (0..NAMES.len()).filter(|&n| self.entries[n].is_learnt()).collect();
        learnt.sort_by_key(|&n| slot(n));
        learnt
    }

    /// The system with these values, in the order of [`NAMES`].
    fn system(&self, values: &[Vec<f64>; 6]) -> BasisSystem {
        let conditional = |part: usize| {
            let (w, variances) = (&values[2 * part], &values[2 * part + 1]);
            let rows = variances.len();
            Conditional {
                coefficients: DMatrix::from_row_slice(rows, w.len() / rows, w),
                noise: DMatrix::from_diagonal(&DVector::from_column_slice(variances)),
            }
        };
        BasisSystem {
            functions: self.functions.clone(),
            conditionals: [conditional(0), conditional(1), conditional(2)],
        }
    }

    /// The system of θ in one row.
    pub(super) fn decode(&self, flat: &[f64]) -> BasisSystem {
        let mut values: [Vec<f64>; 6] = std::array::from_fn(|n| self.entries[n].fixed.clone());
        let mut rest = flat;
        for number in self.learnt() {
            let (own, after) = rest.split_at(values[number].len());
            rest = after;
            for (value, own) in values[number].iter_mut().zip(own).filter(|(value, _)| value.is_nan()) {
                *value = if is_variance(number) { own.exp() } else { *own };
            }
        }
        self.system(&values)
    }

    /// The gradient in θ, in one row, from the gradient in the entries of `system`.
    pub(super) fn pull_back(&self, system: &BasisSystem, gradient: &[Conditional; 3]) -> Vec<f64> {
        let (values, gradients) = (values(&system.conditionals), values(gradient));
        let mut flat = Vec::new();
        for number in self.learnt() {
            let entries = values[number]
                .iter()
                .zip(&gradients[number])
                .zip(&self.entries[number].fixed);
            flat.extend(entries.map(
                |((value, gradient), fixed)| match (fixed.is_nan(), is_variance(number)) {
                    (false, _) => 0.0,
                    (true, false) => *gradient,
                    (true, true) => gradient * value,
                },
            ));
        }
        flat
    }

    /// The parameters that the M-step may change.
    fn learning(&self) -> Learning {
        let regression = |part: usize| {
            let (w, variances) = (&self.entries[2 * part].fixed, &self.entries[2 * part + 1].fixed);
            let rows = variances.len();
            let free: Vec<bool> = w.iter().map(|v| v.is_nan()).collect();
            Regression {
                free: DMatrix::from_row_slice(rows, w.len() / rows, &free),
                noise: Noise {
                    form: NoiseForm::Diagonal,
                    free: variances.iter().map(|v| v.is_nan()).collect(),
                },
            }
        };
        Learning {
            initial: regression(0),
            transition: regression(1),
            emission: regression(2),
        }
    }
}

/// The name of parameter `number` in θ.
fn slot(number: usize) -> String {
    let suffix = if is_variance(number) { ".log" } else { "" };
    format!("{}{suffix}", NAMES[number])
}

/// The values of a system, in the order of [`NAMES`].
fn values(conditionals: &[Conditional; 3]) -> [Vec<f64>; 6] {
    std::array::from_fn(|n| match is_variance(n) {
        true => conditionals[n / 2].noise.diagonal().as_slice().to_vec(),
        false => conditionals[n / 2].coefficients.transpose().as_slice().to_vec(),
    })
}

/// A nonlinear state space for data with given numbers of columns.
#[derive(Debug)]
pub struct NonlinearStateSpace {
    settings: Arc<Settings>,
}

impl NonlinearStateSpace {
    /// The model with these settings, for sequences like `train`.
    pub(super) fn new(settings: Settings, train: &Dataset) -> Result<Self> {
        if settings.entries[5].is_learnt() {
            refuse_constant_columns(train, "emission_variances")?;
        }
        Ok(Self {
            settings: Arc::new(settings),
        })
    }

    /// θ in one row, in f64 on the CPU. `[P]`
    fn flat(&self, theta: &Parameters) -> Result<Tensor> {
        flat(theta, self.settings.learnt().into_iter().map(slot))
    }

    /// The system of θ.
    pub fn system(&self, theta: &Parameters) -> Result<BasisSystem> {
        Ok(self.settings.decode(&self.flat(theta)?.to_vec1::<f64>()?))
    }

    fn theta(&self, values: &[Vec<f64>; 6], dtype: DType, device: &Device) -> Result<Parameters> {
        let mut theta = Parameters::new();
        for number in self.settings.learnt() {
            let own = values[number].iter();
            let own: Vec<f64> = match is_variance(number) {
                true => own.map(|v| v.max(LEAST_VARIANCE).ln()).collect(),
                false => own.copied().collect(),
            };
            let tensor = Tensor::new(own, device)?.to_dtype(dtype)?;
            theta.insert(slot(number), &tensor)?;
        }
        Ok(theta)
    }
}

impl Model for NonlinearStateSpace {
    fn latent(&self) -> Latent {
        Latent::Trajectory(self.settings.functions[0].states())
    }

    fn likelihood(&self) -> LikelihoodKind {
        LikelihoodKind::Estimate
    }

    fn initial(
        &self,
        _data: &Dataset,
        streams: &Streams,
        start: u64,
        dtype: DType,
        device: &Device,
    ) -> Result<Parameters> {
        let rng = &mut streams.named("initial/nonlinear").at(start);
        let spread = self.settings.spread;
        // A number is drawn for every entry, so fixing one entry does not change the others.
        let first = self.settings.entries.each_ref().map(|entries| {
            let draw = |start: &f64| start * (1.0 + spread * (2.0 * rng.random::<f64>() - 1.0));
            entries.start.iter().map(draw).collect::<Vec<f64>>()
        });
        self.theta(&first, dtype, device)
    }

    fn joint<'a>(&'a self, theta: &'a Parameters, batch: &'a Batch) -> Result<Box<dyn Joint + 'a>> {
        let (flat, sequences) = (self.flat(theta)?, sequences(batch)?);
        let joint = NonlinearJoint::new(&self.settings, flat, sequences, batch)?;
        Ok(Box::new(joint))
    }

    fn natural(&self, theta: &Parameters) -> Result<BTreeMap<String, Tensor>> {
        let system = self.system(theta)?;
        let named = NAMES.into_iter().zip(values(&system.conditionals));
        named
            .map(|(name, own)| Ok((name.to_owned(), Tensor::new(own, &Device::Cpu)?)))
            .collect()
    }

    fn named(&self, theta: &Parameters) -> Result<Vec<(String, f64)>> {
        let all = values(&self.system(theta)?.conditionals);
        let [transition, emission] = self.settings.names.clone();
        let numbered = |letter: &str, count: usize| -> Vec<Option<String>> {
            match count {
                1 => vec![Some(letter.to_owned())],
                _ => (1..=count).map(|i| Some(format!("{letter}{i}"))).collect(),
            }
        };
        let [q, r] = [("q", 3), ("r", 5)].map(|(letter, number)| numbered(letter, all[number].len()));
        let mut named = Vec::new();
        for (number, names) in [(2, transition), (4, emission), (3, q), (5, r)] {
            let entries = names
                .into_iter()
                .zip(&all[number])
                .zip(&self.settings.entries[number].fixed);
            let learnt = entries.filter(|(_, fixed)| fixed.is_nan());
            named.extend(learnt.filter_map(|((name, value), _)| Some((name?, *value))));
        }
        Ok(named)
    }

    fn predictor(&self, theta: &Parameters) -> Result<Option<Predictor>> {
        let particles = self.settings.likelihood_particles;
        Ok(Some(Predictor::Particles(Arc::new(self.system(theta)?), particles)))
    }

    fn free_parameters(&self, _theta: &Parameters) -> usize {
        self.settings.learning().count()
    }

    fn closed_form(&self) -> Option<&dyn ClosedForm> {
        Some(self)
    }
}

impl ClosedForm for NonlinearStateSpace {
    fn sweeps<'a>(&'a self, data: &'a Dataset) -> Result<Box<dyn Sweeps + 'a>> {
        Ok(Box::new(NonlinearSweeps {
            model: self,
            sequences: data.sequences()?,
        }))
    }
}

/// A nonlinear state space with the sequences it is fitted to.
struct NonlinearSweeps<'a> {
    model: &'a NonlinearStateSpace,
    sequences: Sequences,
}

impl Sweeps for NonlinearSweeps<'_> {
    fn exact(&self) -> Option<&dyn ExactSweep> {
        None
    }

    fn responsibilities(&self) -> Option<&dyn ResponsibilitySweep> {
        None
    }

    fn trajectories(&self) -> Option<&dyn TrajectorySweep> {
        Some(self)
    }
}

impl TrajectorySweep for NonlinearSweeps<'_> {
    fn improve(&self, theta: &Parameters, beliefs: &[Beliefs], log_q: f64) -> Result<Improvement> {
        let old = self.model.system(theta)?;
        let share = 1.0 / beliefs.len() as f64;
        let statistics = statistics(&old, &self.sequences, beliefs, |_, _| share);
        let lower_bound = statistics.expected_log_of(&old.conditionals).total() - log_q;
        let learning = self.model.settings.learning();
        let (new, floored) = learning.maximize_each(old.conditionals, &statistics)?;
        Ok(Improvement {
            log_likelihood: None,
            lower_bound,
            theta: self.model.theta(&values(&new), theta.dtype(), &theta.device())?,
            events: floor_events(&floored),
        })
    }
}
