//! The model of a continuous latent: its networks, its initial parameters.

use super::joint::LatentGaussianJoint;
use super::{Deviation, LatentGaussian, Likelihood, Prior};
use crate::Result;
use crate::data::{Batch, Dataset};
use crate::math::streams::Streams;
use crate::model::{ClosedForm, Decoder, Joint, Latent, LikelihoodKind, Model};
use crate::nn::{self, Parameters, Perceptron};
use candle_core::{DType, Device, Tensor};
use std::cell::OnceCell;
use std::collections::BTreeMap;

/// The root of the mean variance of the observed columns; 1 if all are constant.
pub(super) fn pooled_deviation(train: &Dataset) -> f64 {
    let variance = moments(train).iter().map(|(_, variance)| variance).sum::<f64>();
    let deviation = (variance / train.observed.columns() as f64).sqrt();
    if deviation > 0.0 { deviation } else { 1.0 }
}

/// Weighted mean and variance of every observed column.
pub(super) fn moments(train: &Dataset) -> Vec<(f64, f64)> {
    let moments = train.moments(&train.observed).into_iter();
    moments.map(|column| column.unwrap_or((0.0, 0.0))).collect()
}

/// The prefix of the decoder's parameters.
pub(super) const DECODER: &str = "decoder";
/// The prefix of the parameters of the network of p(z|x).
pub(super) const PRIOR: &str = "prior";
/// The decoder's initial standard deviations, relative to the data's. At 1 the decoder explains the data without z. If
/// p(x|z) varies at least as much as the data along every direction, ignoring z is a stable optimum of the evidence
/// lower bound (Lucas et al. 2019, "Don't blame the ELBO!", section 4).
const FIRST_DEVIATION: f64 = 0.25;
/// The floor of the standard deviations of the prior; z has scale 1.
pub(super) const PRIOR_FLOOR: f64 = 1e-3;

/// The model for data with given numbers of columns.
#[derive(Debug)]
pub struct LatentGaussianModel {
    pub(super) config: LatentGaussian,
    pub(super) decoder: Perceptron,
    pub(super) prior: Option<Perceptron>,
    /// Observed columns, D.
    pub(super) columns: usize,
    /// Given columns, C.
    pub(super) given: usize,
    pub(super) deviation_floor: f64,
}

impl LatentGaussianModel {
    /// The initial bias of the decoder's last layer: the data's means. `[O]`
    fn first_bias(&self, train: &Dataset) -> Vec<f64> {
        let moments = moments(train);
        let bias = moments.iter().map(|(mean, _)| match self.config.likelihood {
            Likelihood::Gaussian => *mean,
            Likelihood::Bernoulli => {
                let p = mean.clamp(0.01, 0.99);
                (p / (1.0 - p)).ln()
            }
        });
        let raw =
            (self.decoder.outputs() > self.columns).then(|| moments.iter().map(|(_, v)| self.first_raw(v.sqrt())));
        bias.chain(raw.into_iter().flatten()).collect()
    }

    /// The raw number of a standard deviation: the inverse of `floor + exp(raw)`, at least a tenth above the floor.
    pub(super) fn raw(&self, deviation: f64) -> f64 {
        let floor = self.deviation_floor;
        (deviation - floor).max(0.1 * floor).max(1e-12).ln()
    }

    /// The initial raw number, for data with this standard deviation.
    fn first_raw(&self, deviation: f64) -> f64 {
        self.raw(FIRST_DEVIATION * deviation)
    }
}

impl Model for LatentGaussianModel {
    fn latent(&self) -> Latent {
        Latent::Continuous(self.config.latent_dimensions)
    }

    fn likelihood(&self) -> LikelihoodKind {
        self.config.likelihood_kind(self.given > 0)
    }

    fn initial(
        &self,
        data: &Dataset,
        streams: &Streams,
        start: u64,
        dtype: DType,
        device: &Device,
    ) -> Result<Parameters> {
        let mut theta = Parameters::new();
        let tensor = |values: Vec<f64>, shape: (usize, usize)| -> Result<Tensor> {
            Ok(Tensor::from_vec(values, shape, device)?.to_dtype(dtype)?)
        };
        let stream = |name: &str| streams.named(&format!("initial/{name}/{start}"));
        self.decoder
            .initial(DECODER, &mut theta, dtype, device, &stream(DECODER))?;
        let bias = self.first_bias(data);
        let bias = tensor(bias, (1, self.decoder.outputs()))?.squeeze(0)?;
        theta.insert(format!("{DECODER}.{}.bias", self.decoder.layers() - 1), &bias)?;
        if self.config.likelihood == Likelihood::Gaussian && self.config.fixed_deviation.is_none() {
            match self.config.deviation {
                Deviation::Shared => theta.insert(
                    "deviation",
                    &tensor(vec![self.first_raw(pooled_deviation(data))], (1, 1))?,
                )?,
                Deviation::PerColumn => {
                    let raw = moments(data).iter().map(|(_, v)| self.first_raw(v.sqrt())).collect();
                    theta.insert("deviation", &tensor(raw, (1, self.columns))?)?;
                }
                Deviation::GivenZ => {}
            }
        }
        if let Some(network) = &self.prior {
            network.initial(PRIOR, &mut theta, dtype, device, &stream(PRIOR))?;
        }
        if self.config.prior == Prior::Mixture {
            let (k, z) = (self.config.prior_components, self.config.latent_dimensions);
            let means = nn::normal(stream("prior_means").at(0), (k, z), dtype, device)?;
            theta.insert("prior_logits", &tensor(vec![0.0; k], (1, k))?)?;
            theta.insert("prior_means", &means)?;
            theta.insert("prior_deviations", &tensor(vec![0.5f64.ln(); k * z], (k, z))?)?;
        }
        Ok(theta)
    }

    fn joint<'a>(&'a self, theta: &'a Parameters, batch: &'a Batch) -> Result<Box<dyn Joint + 'a>> {
        Ok(Box::new(LatentGaussianJoint {
            model: self,
            theta,
            batch,
            integral: OnceCell::new(),
        }))
    }

    fn natural(&self, _theta: &Parameters) -> Result<BTreeMap<String, Tensor>> {
        Ok(BTreeMap::new())
    }

    fn decoder(&self) -> Option<&dyn Decoder> {
        Some(self)
    }

    fn free_parameters(&self, theta: &Parameters) -> usize {
        theta.count() - usize::from(self.config.prior == Prior::Mixture)
    }

    fn closed_form(&self) -> Option<&dyn ClosedForm> {
        self.config.is_linear().then_some(self)
    }
}
