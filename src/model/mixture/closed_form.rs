//! The M-step of the linear members of [`Mixture`]: weighted counting and weighted regression (Dempster, Laird & Rubin 1977;
//! Bishop 2006, equations 9.24–9.26), done by [`crate::math`] in one pass over the data.
//!
//! This file converts parameters between the unconstrained form of gradient training and the form of that pass.

use super::{Mixture, NETWORK, Part};
use crate::Result;
use crate::data::Dataset;
use crate::math::initial::{initial, reseed};
use crate::math::linear_mixture::{Covariance, LinearMixture};
use crate::math::m_step::{Event, Fixed, Floor, maximize};
use crate::math::rows::Observations;
use crate::math::softmax;
use crate::math::streams::{Generator, Streams};
use crate::math::sweep::{self, sweep};
use crate::model::{ClosedForm, ExactSweep, Improvement, ResponsibilitySweep, Sweeps, TrajectorySweep};
use crate::nn::{ConditionalCovariance, Parameters};
use candle_core::{DType, Device, Tensor};
use nalgebra::DMatrix;
use std::collections::BTreeMap;

impl Mixture {
    fn floor(&self) -> Floor {
        Floor {
            relative: self.settings.deviation_floor.powi(2),
            ..Floor::default()
        }
    }

    /// The rows in the form of the closed-form kernels; x only if the means depend on it.
    fn observations<'a>(&self, data: &'a Dataset) -> Result<Observations<'a>> {
        let given = data.given.as_ref().filter(|_| self.settings.means == Part::Given);
        Observations::new(
            data.observed.view(),
            given.map(|given| given.view()),
            data.weights.as_deref(),
        )
    }

    /// A mixture without x, from clusters of the observed rows.
    pub(super) fn initial_clusters(&self, data: &Dataset, streams: &Streams, start: u64) -> Result<LinearMixture> {
        let rows = Observations::new(data.observed.view(), None, data.weights.as_deref())?;
        let rng = &mut streams.named("initial/clusters").at(start);
        initial(
            &rows,
            self.shape.components,
            self.settings.covariance,
            &self.floor(),
            rng,
        )
    }

    /// Initial values of a linear member: clusters, then the values that the experiment file gives.
    pub(super) fn initial_linear(&self, data: &Dataset, streams: &Streams, start: u64) -> Result<LinearMixture> {
        let rng = &mut streams.named("initial/clusters").at(start);
        let rows = self.observations(data)?;
        let mut mixture = initial(
            &rows,
            self.shape.components,
            self.settings.covariance,
            &self.floor(),
            rng,
        )?;
        let (k, d) = (self.shape.components, self.shape.dimension);
        let fixed = &self.settings.fixed;
        if let Some(means) = &fixed.means {
            mixture.coefficients.clone_from(means);
        }
        if let Some(deviation) = fixed.deviation {
            mixture.covariances.fill(0.0);
            for at in (0..k).flat_map(|k| (0..d).map(move |i| k * d * d + i * d + i)) {
                mixture.covariances[at] = deviation * deviation;
            }
        }
        if let Some(logits) = &fixed.first_logits {
            // The scale may be large: differences are scaled, so that the largest logit stays finite.
            let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let scaled: Vec<f64> = logits
                .iter()
                .map(|l| self.settings.logit_scale * (l - largest))
                .collect();
            mixture.weights = softmax(&scaled);
        } else if fixed.means.is_some() {
            mixture.weights = vec![1.0 / k as f64; k];
        }
        Ok(mixture)
    }

    /// Raw scale numbers of one dense covariance `[D, D]`: the inverse of the modified Cholesky form. `[F]`
    pub(super) fn raw_factor(&self, covariance: &[f64]) -> Vec<f64> {
        let d = self.shape.dimension;
        match self.shape.covariance {
            ConditionalCovariance::Spherical => {
                let variance = (0..d).map(|i| covariance[i * d + i]).sum::<f64>() / d as f64;
                vec![self.raw_deviation(variance.sqrt())]
            }
            ConditionalCovariance::Diagonal => (0..d)
                .map(|i| self.raw_deviation(covariance[i * d + i].sqrt()))
                .collect(),
            ConditionalCovariance::Full => {
                // Row i regresses column i on those before it: e_i = −Σ_j L_ij e_j + innovation.
                let sigma = DMatrix::from_row_slice(d, d, covariance);
                let mut deviations = Vec::with_capacity(d);
                let mut below = Vec::with_capacity(d * (d - 1) / 2);
                let factor = sigma.clone().cholesky().map(|cholesky| cholesky.l());
                let factor = factor.unwrap_or_else(|| DMatrix::from_diagonal(&sigma.diagonal().map(f64::sqrt)));
                let inverse = factor.clone().try_inverse().unwrap_or_else(|| DMatrix::identity(d, d));
                for i in 0..d {
                    deviations.push(self.raw_deviation(factor[(i, i)]));
                    below.extend((0..i).map(|j| factor[(i, i)] * inverse[(i, j)]));
                }
                deviations.extend(below);
                deviations
            }
        }
    }

    /// The parameters of the model that equal `mixture`.
    pub(super) fn theta_of(&self, mixture: &LinearMixture, dtype: DType, device: &Device) -> Result<Parameters> {
        let (k, d, c) = (self.shape.components, self.shape.dimension, self.given);
        let mut theta = Parameters::new();
        let insert = |theta: &mut Parameters, name: &str, values: &[f64], shape: (usize, usize)| -> Result<()> {
            theta.insert(name, &Tensor::from_slice(values, shape, device)?.to_dtype(dtype)?)
        };
        let scale = self.settings.logit_scale;
        let logits: Vec<f64> = match &self.settings.fixed.first_logits {
            // Logits are defined up to a constant: those of the file are kept if they give the same weights.
            Some(first) if same_weights(first, scale, &mixture.weights) => first.clone(),
            _ => mixture.weights.iter().map(|w| w.ln() / scale).collect(),
        };
        insert(&mut theta, "logits", &logits, (1, k))?;
        match self.settings.means {
            Part::Free if self.settings.fixed.means.is_none() => {
                insert(&mut theta, "means", &mixture.coefficients, (1, k * d))?;
            }
            Part::Free => {}
            Part::Given => {
                // [K·D, C+1] with the intercept last → weight [C, K·D] and bias [K·D].
                let rows = &mixture.coefficients;
                let weight: Vec<f64> = (0..c * k * d)
                    .map(|at| rows[(at % (k * d)) * (c + 1) + at / (k * d)])
                    .collect();
                let bias: Vec<f64> = (0..k * d).map(|row| rows[row * (c + 1) + c]).collect();
                insert(&mut theta, &format!("{NETWORK}.0.weight"), &weight, (c, k * d))?;
                let bias = Tensor::from_vec(bias, k * d, device)?.to_dtype(dtype)?;
                theta.insert(format!("{NETWORK}.0.bias"), &bias)?;
            }
        }
        if self.settings.fixed.deviation.is_none() {
            let blocks = mixture.covariances.chunks(d * d);
            let tied = self.settings.covariance == Covariance::Tied;
            let scales: Vec<f64> = blocks
                .take(if tied { 1 } else { k })
                .flat_map(|block| self.raw_factor(block))
                .collect();
            insert(&mut theta, "scales", &scales, (1, scales.len()))?;
        }
        Ok(theta)
    }

    /// The linear mixture with parameters θ.
    fn linear_of(&self, theta: &Parameters) -> Result<LinearMixture> {
        let (k, d, c) = (self.shape.components, self.shape.dimension, self.given);
        let rows = self.predict_free(theta)?;
        let coefficients = match self.settings.means {
            Part::Free => (0..k).flat_map(|k| rows.component_mean(0, k).to_vec()).collect(),
            Part::Given => {
                let weight = to_vec(theta.get(&format!("{NETWORK}.0.weight"))?)?;
                let bias = to_vec(theta.get(&format!("{NETWORK}.0.bias"))?)?;
                let entry = |row: usize, j: usize| if j < c { weight[j * k * d + row] } else { bias[row] };
                (0..k * d * (c + 1))
                    .map(|at| entry(at / (c + 1), at % (c + 1)))
                    .collect()
            }
        };
        Ok(LinearMixture {
            inputs: if self.settings.means == Part::Given { c } else { 0 },
            outputs: d,
            covariance: self.settings.covariance,
            weights: rows.log_weights(0).iter().map(|w| w.exp()).collect(),
            coefficients,
            covariances: (0..k).flat_map(|k| rows.covariance(0, k)).collect(),
        })
    }

    /// Weights, means at x = 0 and covariances of a member whose prior and scales are free.
    fn predict_free(&self, theta: &Parameters) -> Result<crate::model::MixtureRows> {
        use crate::model::RowDensity;
        let origin =
            (self.settings.means == Part::Given).then(|| crate::data::Table::new(vec![0.0; self.given], self.given));
        self.predict(theta, origin.as_ref())
    }

    /// θ in standard terms; see [`crate::model::Model::natural`].
    pub(super) fn natural_parts(&self, theta: &Parameters) -> Result<BTreeMap<String, Tensor>> {
        let mut parts = BTreeMap::new();
        if crate::model::Model::closed_form(self).is_none() {
            return Ok(parts);
        }
        let mixture = self.linear_of(theta)?;
        let (k, d, c) = (mixture.components(), mixture.outputs, mixture.inputs);
        let cpu = &Device::Cpu;
        let rows = mixture.coefficients.chunks(c + 1);
        let intercepts: Vec<f64> = rows.clone().map(|row| row[c]).collect();
        if c > 0 {
            let slopes: Vec<f64> = rows.flat_map(|row| row[..c].to_vec()).collect();
            parts.insert("coefficients".into(), Tensor::from_vec(slopes, (k, d, c), cpu)?);
            parts.insert("intercepts".into(), Tensor::from_vec(intercepts, (k, d), cpu)?);
        } else {
            parts.insert("means".into(), Tensor::from_vec(intercepts, (k, d), cpu)?);
        }
        parts.insert("weights".into(), Tensor::from_vec(mixture.weights, k, cpu)?);
        parts.insert(
            "covariances".into(),
            Tensor::from_vec(mixture.covariances, (k, d, d), cpu)?,
        );
        Ok(parts)
    }
}

fn to_vec(tensor: &Tensor) -> Result<Vec<f64>> {
    Ok(tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

fn same_weights(logits: &[f64], scale: f64, weights: &[f64]) -> bool {
    let offset = scale * logits[0] - weights[0].ln();
    logits
        .iter()
        .zip(weights)
        .all(|(l, w)| (scale * l - offset - w.ln()).abs() < 1e-12)
}

impl ClosedForm for Mixture {
    fn sweeps<'a>(&'a self, data: &'a Dataset) -> Result<Box<dyn Sweeps + 'a>> {
        Ok(Box::new(MixtureSweeps {
            mixture: self,
            rows: self.observations(data)?,
        }))
    }
}

/// A linear member of the family with the rows it is fitted to.
struct MixtureSweeps<'a> {
    mixture: &'a Mixture,
    rows: Observations<'a>,
}

impl Sweeps for MixtureSweeps<'_> {
    fn exact(&self) -> Option<&dyn ExactSweep> {
        Some(self)
    }

    fn responsibilities(&self) -> Option<&dyn ResponsibilitySweep> {
        Some(self)
    }

    fn trajectories(&self) -> Option<&dyn TrajectorySweep> {
        None
    }
}

impl ExactSweep for MixtureSweeps<'_> {
    fn improve(&self, theta: &Parameters, threads: usize, rng: Option<&mut Generator>) -> Result<Improvement> {
        self.sweep(theta, None, threads, rng)
    }
}

impl ResponsibilitySweep for MixtureSweeps<'_> {
    fn improve(
        &self,
        theta: &Parameters,
        responsibilities: &[f64],
        threads: usize,
        rng: Option<&mut Generator>,
    ) -> Result<Improvement> {
        self.sweep(theta, Some(responsibilities), threads, rng)
    }
}

impl MixtureSweeps<'_> {
    /// One sweep, with the exact posterior unless responsibilities `[N, K]` are given.
    fn sweep(
        &self,
        theta: &Parameters,
        responsibilities: Option<&[f64]>,
        threads: usize,
        rng: Option<&mut Generator>,
    ) -> Result<Improvement> {
        let (model, k) = (self.mixture, self.mixture.shape.components);
        let old = model.linear_of(theta)?;
        let copy = |first: usize, block: &mut [f64]| {
            if let Some(all) = responsibilities {
                block.copy_from_slice(&all[first * k..first * k + block.len()]);
            }
        };
        let rule = match responsibilities {
            None => sweep::EStep::Exact,
            Some(_) => sweep::EStep::Given(&copy),
        };
        let statistics = sweep(&self.rows, &old, rule, threads)?;
        let fixed = Fixed {
            weights: false,
            coefficients: model.settings.fixed.means.is_some(),
            covariances: model.settings.fixed.deviation.is_some(),
        };
        let mut update = maximize(&statistics, &old, fixed, &model.floor())?;
        // A component with a fixed mean may be empty.
        let movable = !fixed.coefficients && !fixed.covariances;
        match rng.filter(|_| movable) {
            Some(rng) => reseed(&self.rows, &mut update.mixture, &update.events, &model.floor(), rng)?,
            None => update.events.retain(|event| matches!(event, Event::Floored { .. })),
        }
        Ok(Improvement {
            log_likelihood: Some(statistics.log_likelihood),
            lower_bound: statistics.lower_bound,
            theta: model.theta_of(&update.mixture, theta.dtype(), &theta.device())?,
            events: update.events.iter().map(describe).collect(),
        })
    }
}

fn describe(event: &Event) -> String {
    match event {
        Event::Collapsed { component } => format!("component {component} collapsed onto few points; started again"),
        Event::Empty { component } => format!("component {component} was empty; started again"),
        Event::Floored { component } => format!("component {component} reached the covariance floor"),
    }
}
