//! The neural state space as a [`Model`]: its parts, its initial parameters, its joint.

use super::conditioned::Conditioned;
use super::dynamics::NeuralDynamics;
use super::emission::{Emission, Moments, Seen};
use super::entries::Entries;
use super::joint::NeuralJoint;
use super::linear::{Sizes, flat};
use super::principal::Principal;
use super::transition::{Transition, raw_deviations};
use super::{Likelihood, NeuralSsm};
use crate::data::source::Widths;
use crate::data::{Batch, Dataset};
use crate::error::Fault;
use crate::math::kalman::System;
use crate::math::nonlinear::Predictor;
use crate::math::streams::Streams;
use crate::model::linear_gaussian_ssm::Parametrisation;
use crate::model::{Joint, Latent, LikelihoodKind, Model, ModelKind, Normal};
use crate::nn::{GatedRecurrent, Parameters};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The parts of the model.
#[derive(Debug)]
pub(super) struct Core {
    pub sizes: Sizes,
    pub is_linear: bool,
    /// m₁. `[1, X]`
    pub initial_mean: Entries,
    /// Raw deviations of P₁. `[1, X]`
    pub initial_raw: Entries,
    pub transition: Transition,
    pub emission: Emission,
    /// The basis of the observations, if they are read in principal components.
    pub principal: Option<Arc<Principal>>,
    /// Moments of the inputs.
    pub inputs: Moments,
    /// Whether values are missing in the training steps.
    pub is_missing: bool,
    pub likelihood_particles: usize,
}

impl Core {
    /// p(x_1). `[1, X]`
    pub fn initial(&self, theta: &Parameters) -> Result<Normal> {
        Ok(Normal {
            mean: self.initial_mean.value(theta)?,
            raw: self.initial_raw.value(theta)?,
            floor: self.transition.floor(),
        })
    }
}

/// A neural state space for sequences like those it was built for.
#[derive(Debug)]
pub struct NeuralStateSpace {
    core: Arc<Core>,
    likelihood: LikelihoodKind,
}

/// What of the training steps is no moment of the columns that the networks see.
struct Shape {
    inputs: Moments,
    /// The number of observed columns, D.
    width: usize,
    /// Rows, columns and frames of an image.
    image: Option<[usize; 3]>,
    is_missing: bool,
}

/// The rounding error of a mean, relative to it. The variance of a constant column is the square of that error, not 0.
const ROUNDING: f64 = 1e-12;

/// Means and deviations of columns, 0 and 1 where a column is empty, and its value and 1 where it is constant.
fn moments(columns: Vec<Option<(f64, f64)>>) -> Moments {
    let usable = |column: &Option<(f64, f64)>| column.unwrap_or((0.0, 1.0));
    let deviation = |(mean, variance): (f64, f64)| match variance > (ROUNDING * mean).powi(2) {
        true => variance.sqrt(),
        false => 1.0,
    };
    Moments {
        means: columns.iter().map(|column| usable(column).0).collect(),
        deviations: columns.iter().map(|column| deviation(usable(column))).collect(),
    }
}

/// The root mean square of the deviations of all pixels, 1 if all are constant. Pixels share it: a pixel that is lit in few
/// images has a tiny deviation, in units of which it would be huge elsewhere.
fn common_deviation(columns: &[Option<(f64, f64)>]) -> f64 {
    let variances = columns.iter().flatten().map(|(_, variance)| variance);
    let mean = variances.sum::<f64>() / columns.len().max(1) as f64;
    if mean > 0.0 { mean.sqrt() } else { 1.0 }
}

impl NeuralStateSpace {
    /// The faults of a table for data with these numbers of columns, whose values are not known yet.
    pub(super) fn settings(keys: &NeuralSsm, widths: Widths) -> std::result::Result<(), Fault> {
        let standard = |columns| Moments {
            means: vec![0.0; columns],
            deviations: vec![1.0; columns],
        };
        // Fixed variances are compared with a floor relative to the data, which is not known yet.
        let lenient = NeuralSsm {
            emission_deviation_floor: 1e-9,
            emission_deviation_floor_schedule: None,
            ..keys.clone()
        };
        let frames = widths.image.map_or(1, |[_, _, frames]| frames);
        let width = widths.observed / frames;
        if let Some(components) = keys.principal_components.filter(|own| *own >= width) {
            return Err(Fault::new(
                "principal_components",
                format!("{components} components of {width} numbers"),
                "fewer components than observed columns, or than pixels of a frame",
                "lower it, or remove it",
            ));
        }
        let columns = keys
            .principal_components
            .map_or(widths.observed, |components| frames * components);
        let shape = Shape {
            inputs: standard(widths.given),
            width: widths.observed,
            image: widths.image,
            is_missing: false,
        };
        Self::core(&lenient, standard(columns), shape, None).map(|_| ())
    }

    /// The model of a table, for sequences like `train`.
    pub(super) fn new(keys: NeuralSsm, train: &Dataset) -> Result<Self> {
        let columns = train.moments(&train.observed);
        let common = train.observed.is_images().then(|| common_deviation(&columns));
        let mut observed = moments(columns);
        if let Some(common) = common {
            observed.deviations.fill(common);
        }
        let inputs = train.given.as_ref().map(|given| moments(train.moments(given)));
        let is_missing = train.observed.iter().any(f64::is_nan);
        let principal = keys.principal_components.map(|components| -> Result<_> {
            if is_missing {
                return Err(Error::Data(
                    "`model.principal_components` expects observations without missing values".into(),
                ));
            }
            let principal = Principal::new(train, components)?;
            observed = Moments {
                means: vec![0.0; principal.coefficients()],
                deviations: vec![principal.deviation; principal.coefficients()],
            };
            Ok(Arc::new(principal))
        });
        let shape = Shape {
            inputs: inputs.unwrap_or_default(),
            width: train.observed.columns(),
            image: train.observed.image(),
            is_missing,
        };
        let core = Self::core(&keys, observed, shape, principal.transpose()?);
        Ok(Self {
            core: Arc::new(core.map_err(|fault| Error::Other(fault.to_string()))?),
            likelihood: ModelKind::likelihood(&keys, false),
        })
    }

    fn core(
        keys: &NeuralSsm,
        observed: Moments,
        Shape {
            inputs,
            width,
            image,
            is_missing,
        }: Shape,
        principal: Option<Arc<Principal>>,
    ) -> std::result::Result<Core, Fault> {
        let reduced_from = keys.principal_components.map(|_| width);
        let (x, floor) = (keys.states, keys.transition_deviation_floor);
        let variances = Entries::vector(
            "initial.raw",
            "initial_variances",
            &keys.initial_variances,
            &vec![1.0; x],
        )?;
        let transition = Transition::new(keys, inputs.means.len())?;
        let deterministic = transition.cell().map_or(0, GatedRecurrent::units);
        Ok(Core {
            sizes: Sizes {
                states: x,
                inputs: inputs.means.len(),
                outputs: observed.means.len() + usize::from(reduced_from.is_some()),
            },
            is_linear: keys.is_linear(),
            initial_mean: Entries::vector("initial.mean", "initial_mean", &keys.initial_mean, &vec![0.0; x])?,
            initial_raw: raw_deviations(variances, "initial_variances", floor)?,
            transition,
            emission: Emission::new(
                keys,
                observed,
                Seen {
                    reduced_from,
                    image,
                    deterministic,
                    inputs: inputs.means.len(),
                },
            )?,
            principal,
            inputs,
            is_missing,
            likelihood_particles: keys.likelihood_particles,
        })
    }
}

impl Model for NeuralStateSpace {
    fn latent(&self) -> Latent {
        Latent::Trajectory(self.core.sizes.states)
    }

    fn likelihood(&self) -> LikelihoodKind {
        self.likelihood
    }

    fn initial(
        &self,
        _data: &Dataset,
        streams: &Streams,
        start: u64,
        dtype: DType,
        device: &Device,
    ) -> Result<Parameters> {
        let mut theta = Parameters::new();
        let stream = |name: &str| streams.named(&format!("initial/{name}/{start}"));
        self.core.initial_mean.initial(&mut theta, dtype, device)?;
        self.core.initial_raw.initial(&mut theta, dtype, device)?;
        self.core.transition.initial(&mut theta, (dtype, device), &stream)?;
        self.core.emission.initial(&mut theta, (dtype, device), &stream)?;
        Ok(theta)
    }

    fn reduced(&self, rows: &Dataset) -> Result<Option<Dataset>> {
        let Some(principal) = &self.core.principal else {
            return Ok(None);
        };
        Ok(Some(Dataset {
            observed: principal.reduced(&rows.observed)?,
            ..rows.clone()
        }))
    }

    fn expanded(&self, observed: &Tensor) -> Result<Option<Tensor>> {
        let principal = self.core.principal.as_ref();
        principal.map(|principal| principal.expanded(observed)).transpose()
    }

    fn schedule(&self, theta: &Parameters, share: f64) -> Result<()> {
        self.core.emission.schedule(theta, share)
    }

    fn schedule_ends(&self) -> f64 {
        self.core.emission.schedule_ends()
    }

    fn joint<'a>(&'a self, theta: &'a Parameters, batch: &'a Batch) -> Result<Box<dyn Joint + 'a>> {
        let conditioned = Conditioned::new(self.core.clone(), theta.clone(), batch)?;
        Ok(Box::new(NeuralJoint::new(conditioned, batch)))
    }

    fn natural(&self, theta: &Parameters) -> Result<BTreeMap<String, Tensor>> {
        let theta = &theta.constant();
        let wide = |tensor: Tensor| -> Result<Tensor> { Ok(tensor.to_dtype(DType::F64)?.squeeze(0)?) };
        let initial = self.core.initial(theta)?;
        let mut natural = BTreeMap::from([
            ("initial_mean".to_owned(), wide(initial.mean.clone())?),
            ("initial_variances".to_owned(), wide(initial.deviation()?.sqr()?)?),
        ]);
        let variances = |raw: Option<Tensor>, floor| -> Result<Option<Tensor>> {
            raw.map(|raw| {
                let normal = Normal {
                    mean: raw.zeros_like()?,
                    raw,
                    floor,
                };
                wide(normal.deviation()?.sqr()?)
            })
            .transpose()
        };
        let transition = self.core.transition.raw.as_ref().map(|raw| raw.value(theta));
        if let Some(q) = variances(transition.transpose()?, self.core.transition.floor())? {
            natural.insert("transition_variances".to_owned(), q);
        }
        if let Some(r) = variances(self.core.emission.raw(theta)?, self.core.emission.floor(theta)?)? {
            let [_, scale] = self.core.emission.shift_and_scale(DType::F64)?;
            natural.insert("emission_variances".to_owned(), (r * scale.squeeze(0)?.sqr()?)?);
        }
        Ok(natural)
    }

    fn state_space(&self, theta: &Parameters) -> Result<Option<System>> {
        if !self.core.is_linear {
            return Ok(None);
        }
        let flat = flat(&self.core, theta)?.to_vec1::<f64>()?;
        Ok(Some(self.core.sizes.system(&flat)?))
    }

    fn predictor(&self, theta: &Parameters) -> Result<Option<Predictor>> {
        if let Some(system) = self.state_space(theta)? {
            return Ok(Some(Predictor::Kalman(Box::new(system))));
        }
        let dynamics = NeuralDynamics::new(&self.core, theta)?;
        Ok(dynamics.map(|dynamics| Predictor::Particles(Arc::new(dynamics), self.core.likelihood_particles)))
    }

    fn free_parameters(&self, theta: &Parameters) -> usize {
        theta.count()
            - [&self.core.initial_mean, &self.core.initial_raw]
                .map(|own| own.fixed_beside_learnt())
                .iter()
                .sum::<usize>()
            - self.core.transition.fixed_beside_learnt()
            - self.core.emission.not_learnt()
    }
}

impl Core {
    /// Whether it is a state space with constant Gaussian noise, whose state is x alone.
    pub fn is_state_space(&self) -> bool {
        self.transition.raw.is_some()
            && self.emission.is_constant()
            && self.transition.cell().is_none()
            && self.principal.is_none()
    }

    /// Whether the observations are columns of 0 and 1.
    pub fn is_binary(&self) -> bool {
        self.emission.likelihood == Likelihood::Bernoulli
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Field, Table};

    /// The mean of equal numbers is rounded, so their variance is not 0.
    #[test]
    fn a_constant_column_has_deviation_1() {
        let values = (0..1000).flat_map(|i| [0.1, 0.1 + 1e-9 * f64::from(i % 2)]).collect();
        let observed: Field = Table::new(values, 2).into();
        let train = Dataset {
            observed,
            ..Dataset::default()
        };
        let columns = train.moments(&train.observed);
        assert!(columns[0].is_some_and(|(_, variance)| variance > 0.0), "{columns:?}");
        let Moments { means, deviations } = moments(columns);
        assert!(
            (means[0] - 0.1).abs() < 1e-12 && deviations[0] == 1.0,
            "{means:?} {deviations:?}"
        );
        assert!((deviations[1] - 5e-10).abs() < 1e-12, "{deviations:?}");
    }

    /// Constant pixels count, with a deviation of 0.
    #[test]
    fn pixels_share_their_scale() {
        let columns = [Some((0.25, 0.0)), None, Some((0.5, 0.08))];
        assert!((common_deviation(&columns) - (0.08f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(common_deviation(&columns[..2]), 1.0);
    }
}
