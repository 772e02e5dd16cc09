//! The family behind every finite mixture here: `log p_θ(y, z=k | x) = log π_k(x) + log N(y; μ_k(x), Σ_k(x))`.
//!
//! Each of its three parts, prior π, means μ and scales Σ, is [`Part::Given`] (columns of one function of x, linear or
//! a perceptron) or [`Part::Free`] (parameters of their own). These models are settings of it:
//!
//! | model | prior | means | scales |
//! |---|---|---|---|
//! | gaussian, gaussian_mixture | free | free | free |
//! | linear_gaussian, mixture of regressions | free | given, linear | free |
//! | mixture density network (Bishop 1994) | given | given | given |
//!
//! Σ is held as a modified Cholesky factor (Pourahmadi 1999): the residual of y_i after regressing it on y_1 … y_{i−1}
//! has standard deviation floor + exp(raw_i), and the negative regression coefficients stand below the diagonal. Any
//! real numbers then give a positive-definite Σ.
//!
//! Parameters: `network.*`, whose last layer has the columns of all given parts in the order prior `[K]`, means
//! `[K, D]`, scales `[K, F]`; and for free parts `logits` `[1, K]`, `means` `[1, K·D]`, `scales` `[1, K·F]` (`[1, F]`
//! where tied).

mod closed_form;
mod joint;

use super::{ClosedForm, Joint, Latent, LikelihoodKind, MixtureRows, Model, RowDensity};
use crate::Result;
use crate::data::{Batch, Dataset, Field, Table};
use crate::error::provided;
use crate::math::linear_mixture::Covariance;
use crate::math::rows::Observations;
use crate::math::streams::Streams;
use crate::nn::{Activation, ConditionalCovariance, Head, MixtureShape, Parameters, Perceptron};
use candle_core::{DType, Device, Tensor};
use joint::MixtureJoint;
use std::cell::OnceCell;
use std::collections::BTreeMap;

/// Whether a part of the mixture is a function of x or has parameters of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A function of x.
    Given,
    /// Parameters of its own.
    Free,
}

/// Parts that the experiment file gives.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FixedParts {
    /// Initial logits. `[K]`
    pub first_logits: Option<Vec<f64>>,
    /// Fixed means. `[K·D]`
    pub means: Option<Vec<f64>>,
    /// The fixed standard deviation of all axes and components.
    pub deviation: Option<f64>,
}

/// The settings of one member of the family.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The number of components K.
    pub components: usize,
    /// Of π.
    pub prior: Part,
    /// Of μ.
    pub means: Part,
    /// Of Σ.
    pub scales: Part,
    /// The form of Σ.
    pub covariance: Covariance,
    /// Units of each hidden layer of the function of x.
    pub hidden: Vec<usize>,
    /// Between hidden layers.
    pub activation: Activation,
    /// The smallest standard deviation, relative to the data's.
    pub deviation_floor: f64,
    /// π = softmax(logit_scale · logits), if the prior is free.
    pub logit_scale: f64,
    /// The fixed parts.
    pub fixed: FixedParts,
}

/// The default of every `deviation_floor`: a thousandth of the data's standard deviation.
pub fn default_floor() -> f64 {
    1e-3
}

/// One member of the family, for data with given numbers of columns.
#[derive(Debug)]
pub struct Mixture {
    pub(super) settings: Settings,
    pub(super) shape: MixtureShape,
    pub(super) given: usize,
    network: Option<Perceptron>,
}

/// The prefix of the network's parameters.
pub(super) const NETWORK: &str = "network";

impl Mixture {
    /// The member with these settings, for rows like `train`.
    pub fn new(settings: Settings, train: &Dataset) -> Result<Self> {
        let (k, d) = (settings.components, train.observed.columns());
        let covariance = match settings.covariance {
            Covariance::Full | Covariance::Tied => ConditionalCovariance::Full,
            Covariance::Diagonal => ConditionalCovariance::Diagonal,
            Covariance::Spherical => ConditionalCovariance::Spherical,
        };
        // Closed-form covariances are kept above `floor² · pooled covariance`, so their innovation standard deviations
        // are above `floor` times the smallest pooled one. Half of that as the floor here can represent all of them.
        let deviation_floor = match settings.fixed.deviation {
            Some(_) => 0.0,
            None => 0.5 * settings.deviation_floor * smallest_innovation(train),
        };
        let shape = MixtureShape {
            components: k,
            dimension: d,
            covariance,
            deviation_floor,
        };
        let given = train.given.as_ref().map_or(0, Field::columns);
        let outputs: usize = [
            (settings.prior, k),
            (settings.means, k * d),
            (settings.scales, k * shape.covariance.raw_count(shape.dimension)),
        ]
        .iter()
        .map(|(part, columns)| if *part == Part::Given { *columns } else { 0 })
        .sum();
        // Initial outputs hardly depend on x, so the biases set them everywhere.
        let network = (outputs > 0)
            .then(|| Perceptron::new(given, &settings.hidden, outputs, settings.activation))
            .transpose()?
            .map(|network| network.with_output_scale(0.1));
        Ok(Self {
            settings,
            shape,
            given,
            network,
        })
    }

    /// The first columns of prior, means and scales in the network's output.
    fn offsets(&self) -> [usize; 3] {
        let (k, d) = (self.shape.components, self.shape.dimension);
        let prior = if self.settings.prior == Part::Given { k } else { 0 };
        let means = if self.settings.means == Part::Given { k * d } else { 0 };
        [0, prior, prior + means]
    }

    /// The last layer's number, for its parameters' names.
    pub(super) fn last_layer(&self) -> usize {
        self.settings.hidden.len()
    }

    /// Prior, means and scales for the rows of `given`.
    fn parts(&self, theta: &Parameters, given: Option<&Tensor>) -> Result<Parts> {
        let output = match &self.network {
            Some(network) => {
                let x = provided(given, "p(y|x) without x")?;
                Some(network.forward(theta, NETWORK, x)?)
            }
            None => None,
        };
        let (dtype, device) = (theta.dtype(), theta.device());
        let constant = |values: &[f64]| Tensor::from_slice(values, (1, values.len()), &device)?.to_dtype(dtype);
        let [prior, means, scales] = self.offsets();
        let pick = |part: Part, offset: usize, free: &dyn Fn() -> Result<Tensor>| -> Result<(Tensor, usize)> {
            match (part, &output) {
                (Part::Given, Some(output)) => Ok((output.clone(), offset)),
                _ => Ok((free()?, 0)),
            }
        };
        let free_logits = || -> Result<Tensor> {
            let logits = theta.get("logits")?;
            let scale = self.settings.logit_scale;
            Ok(if scale == 1.0 {
                logits.clone()
            } else {
                (logits * scale)?
            })
        };
        let free_means = || -> Result<Tensor> {
            match &self.settings.fixed.means {
                Some(means) => Ok(constant(means)?),
                None => Ok(theta.get("means")?.clone()),
            }
        };
        let free_scales = || -> Result<Tensor> {
            let columns = self.shape.components * self.shape.covariance.raw_count(self.shape.dimension);
            if let Some(deviation) = self.settings.fixed.deviation {
                return Ok(constant(&self.raw_scales(&vec![deviation; columns]))?);
            }
            let scales = theta.get("scales")?;
            Ok(match self.settings.covariance {
                Covariance::Tied => scales.repeat((1, self.shape.components))?,
                _ => scales.clone(),
            })
        };
        Ok(Parts {
            logits: pick(self.settings.prior, prior, &free_logits)?,
            means: pick(self.settings.means, means, &free_means)?,
            scales: pick(self.settings.scales, scales, &free_scales)?,
        })
    }

    /// Raw scale numbers of components with independent axes and these standard deviations, `[K · (1 or D)]` depending
    /// on the form; coefficients below the diagonal are 0.
    fn raw_scales(&self, deviations: &[f64]) -> Vec<f64> {
        let per_component = self.shape.covariance.raw_count(self.shape.dimension);
        let axes = if self.shape.covariance == ConditionalCovariance::Spherical {
            1
        } else {
            self.shape.dimension
        };
        (0..self.shape.components * per_component)
            .map(|at| {
                if at % per_component < axes {
                    self.raw_deviation(deviations[at.min(deviations.len() - 1)])
                } else {
                    0.0
                }
            })
            .collect()
    }

    /// The raw number of a standard deviation: the inverse of `floor + exp(raw)`, at least a hundredth above the floor.
    pub(super) fn raw_deviation(&self, deviation: f64) -> f64 {
        let floor = self.shape.deviation_floor;
        (deviation - floor).max(1e-2 * floor).max(f64::MIN_POSITIVE).ln()
    }
}

struct Parts {
    logits: (Tensor, usize),
    means: (Tensor, usize),
    scales: (Tensor, usize),
}

impl Parts {
    /// The distribution of the observed columns as plain numbers, row by row.
    fn rows(&self, shape: &MixtureShape) -> Result<MixtureRows> {
        let (k, d) = (shape.components, shape.dimension);
        let f = shape.covariance.raw_count(d);
        let values = |part: &(Tensor, usize), columns: usize| -> Result<Vec<f64>> {
            let part = part.0.narrow(1, part.1, columns)?.to_dtype(DType::F64)?;
            Ok(part.flatten_all()?.to_vec1()?)
        };
        let logits = values(&self.logits, k)?;
        Ok(MixtureRows::new(
            *shape,
            logits,
            values(&self.means, k * d)?,
            values(&self.scales, k * f)?,
        ))
    }

    fn heads(&self) -> [Head<'_>; 3] {
        [&self.logits, &self.means, &self.scales].map(|(values, offset)| Head {
            values,
            offset: *offset,
        })
    }
}

/// The smallest residual standard deviation of an observed column after regression on the columns before it; columns
/// that are exact functions of others do not count.
fn smallest_innovation(train: &Dataset) -> f64 {
    let d = train.observed.columns();
    let Ok(rows) = Observations::new(train.observed.view(), None, train.weights.as_deref()) else {
        return 1.0;
    };
    let covariance = rows.covariance();
    let largest = (0..d).map(|i| covariance[i * d + i]).fold(0.0, f64::max);
    let mut innovations: Vec<f64> = (0..d).map(|i| covariance[i * d + i].sqrt()).collect();
    if let Some(factor) = nalgebra::DMatrix::from_row_slice(d, d, &covariance).cholesky() {
        innovations.extend((0..d).map(|i| factor.l_dirty()[(i, i)]));
    }
    let smallest = innovations
        .into_iter()
        .filter(|deviation| *deviation > 1e-7 * largest.sqrt())
        .fold(f64::INFINITY, f64::min);
    if smallest.is_finite() { smallest } else { 1.0 }
}

impl Model for Mixture {
    fn likelihood(&self) -> LikelihoodKind {
        LikelihoodKind::Exact
    }

    fn latent(&self) -> Latent {
        Latent::Finite(self.shape.components)
    }

    fn initial(
        &self,
        data: &Dataset,
        streams: &Streams,
        start: u64,
        dtype: DType,
        device: &Device,
    ) -> Result<Parameters> {
        if self.closed_form().is_some() {
            return self.theta_of(&self.initial_linear(data, streams, start)?, dtype, device);
        }
        // Clusters of the observed rows: components begin apart, within the data, with matching standard deviations.
        let clusters = self.initial_clusters(data, streams, start)?;
        let mut theta = Parameters::new();
        let (k, d, f) = (
            self.shape.components,
            self.shape.dimension,
            self.shape.covariance.raw_count(self.shape.dimension),
        );
        let logits: Vec<f64> = clusters.weights.iter().map(|w| w.ln()).collect();
        let means = clusters.coefficients.clone();
        let scales: Vec<f64> = (0..k)
            .flat_map(|k| self.raw_factor(&clusters.covariances[k * d * d..(k + 1) * d * d]))
            .collect();
        let tied_scales = scales[..f].to_vec();
        let mut bias = Vec::new();
        let mut place = |part: Part, name: &str, values: Vec<f64>, theta: &mut Parameters| -> Result<()> {
            match part {
                Part::Given => bias.extend(values),
                Part::Free => {
                    let row = Tensor::from_slice(&values, (1, values.len()), device)?.to_dtype(dtype)?;
                    theta.insert(name, &row)?;
                }
            }
            Ok(())
        };
        place(self.settings.prior, "logits", logits, &mut theta)?;
        place(self.settings.means, "means", means, &mut theta)?;
        let tied = self.settings.covariance == Covariance::Tied;
        place(
            self.settings.scales,
            "scales",
            if tied { tied_scales } else { scales },
            &mut theta,
        )?;
        if let Some(network) = &self.network {
            let stream = streams.named(&format!("initial/{NETWORK}/{start}"));
            network.initial(NETWORK, &mut theta, dtype, device, &stream)?;
            let bias = Tensor::from_slice(&bias, bias.len(), device)?.to_dtype(dtype)?;
            theta.insert(format!("{NETWORK}.{}.bias", self.last_layer()), &bias)?;
        }
        Ok(theta)
    }

    fn joint<'a>(&'a self, theta: &'a Parameters, batch: &'a Batch) -> Result<Box<dyn Joint + 'a>> {
        Ok(Box::new(MixtureJoint {
            parts: self.parts(theta, batch.given.as_ref())?,
            shape: &self.shape,
            batch,
            all: OnceCell::new(),
        }))
    }

    fn natural(&self, theta: &Parameters) -> Result<BTreeMap<String, Tensor>> {
        self.natural_parts(theta)
    }

    fn row_density(&self) -> Option<&dyn RowDensity> {
        Some(self)
    }

    fn free_parameters(&self, theta: &Parameters) -> usize {
        theta.count() - usize::from(self.settings.prior == Part::Free)
    }

    fn identified_prior(&self, theta: &Parameters) -> Result<Option<Vec<f64>>> {
        if self.settings.prior == Part::Given || self.settings.fixed.means.is_none() {
            return Ok(None);
        }
        let rows = RowDensity::predict(self, theta, None)?;
        Ok(Some(rows.log_weights(0).iter().map(|w| w.exp()).collect()))
    }

    fn closed_form(&self) -> Option<&dyn ClosedForm> {
        let linear = self.settings.prior == Part::Free
            && self.settings.scales == Part::Free
            && (self.settings.means == Part::Free || self.settings.hidden.is_empty());
        linear.then_some(self)
    }
}

impl RowDensity for Mixture {
    fn predict(&self, theta: &Parameters, given: Option<&Table>) -> Result<MixtureRows> {
        let device = theta.device();
        let x = given.map(|given| -> Result<Tensor> {
            let shape = (given.rows(), given.columns());
            Ok(Tensor::from_slice(given.values(), shape, &device)?.to_dtype(theta.dtype())?)
        });
        let parts = self.parts(theta, x.transpose()?.as_ref())?;
        parts.rows(&self.shape)
    }
}
