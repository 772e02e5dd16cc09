//! The linear member: `x = W z + V c + b + ε`, jointly Gaussian, so log p(x), its gradient, p(z|x) and the M-step have
//! closed forms (probabilistic principal components, factor analysis).

use super::joint::{LatentGaussianJoint, plain};
use super::model::DECODER;
use super::{Deviation, LatentGaussianModel};
use crate::Result;
use crate::data::{Dataset, Field};
use crate::math::linear_latent::{Learning, LinearLatent, Noise};
use crate::math::rows::{Observations, Rows};
use crate::math::streams::Generator;
use crate::model::{
    ClosedForm, ExactSweep, GaussianPosterior, Improvement, ResponsibilitySweep, Sweeps, TrajectorySweep,
};
use crate::nn::Parameters;
use candle_core::{CpuStorage, CustomOp3, DType, Device, Layout, Shape, Tensor};
use std::ops::Range;

/// How θ represents a [`LinearLatent`].
#[derive(Debug, Clone, Copy)]
struct Form {
    latents: usize,
    inputs: usize,
    outputs: usize,
    deviation_floor: f64,
}

impl Form {
    /// From the decoder's weight `[Z + C, D]` and bias `[D]`, and raw standard deviations `[1]` or `[D]`.
    fn assemble(self, weight: &[f64], bias: &[f64], raw: &[f64]) -> LinearLatent {
        let (z, c, d) = (self.latents, self.inputs, self.outputs);
        let row = |j: usize, inputs: Range<usize>| inputs.map(move |i| weight[i * d + j]);
        let variance = |j: usize| (self.deviation_floor + raw[j.min(raw.len() - 1)].exp()).powi(2);
        LinearLatent {
            latents: z,
            inputs: c,
            outputs: d,
            loadings: (0..d).flat_map(|j| row(j, 0..z)).collect(),
            coefficients: (0..d).flat_map(|j| row(j, z..z + c).chain([bias[j]])).collect(),
            noise_variances: (0..d).map(variance).collect(),
        }
    }
}

impl LatentGaussianModel {
    fn form(&self) -> Form {
        Form {
            latents: self.config.latent_dimensions,
            inputs: self.given,
            outputs: self.columns,
            deviation_floor: self.deviation_floor,
        }
    }

    /// Weight, bias and raw standard deviations, in f64 on the CPU.
    fn parts(&self, theta: &Parameters) -> Result<[Tensor; 3]> {
        let get = |name: &str| -> Result<Tensor> {
            let tensor = theta.get(name)?.to_device(&Device::Cpu)?;
            Ok(tensor.to_dtype(DType::F64)?.contiguous()?)
        };
        let raw = match self.config.fixed_deviation {
            Some(deviation) => Tensor::full(deviation.ln(), (1, 1), &Device::Cpu)?,
            None => get("deviation")?,
        };
        Ok([
            get(&format!("{DECODER}.0.weight"))?,
            get(&format!("{DECODER}.0.bias"))?,
            raw,
        ])
    }

    /// θ as plain numbers.
    fn linear(&self, theta: &Parameters) -> Result<LinearLatent> {
        let [weight, bias, raw] = self.parts(theta)?;
        Ok(self.form().assemble(&plain(&weight)?, &plain(&bias)?, &plain(&raw)?))
    }

    /// The θ of `linear`.
    fn theta_of(&self, linear: &LinearLatent, dtype: DType, device: &Device) -> Result<Parameters> {
        let (z, c, d) = (linear.latents, linear.inputs, linear.outputs);
        let entry = |at: usize| match (at / d, at % d) {
            (i, j) if i < z => linear.loadings[j * z + i],
            (i, j) => linear.coefficients[j * (c + 1) + i - z],
        };
        let mut theta = Parameters::new();
        let mut insert = |name: &str, values: Vec<f64>, shape: Shape| -> Result<()> {
            theta.insert(name, &Tensor::from_vec(values, shape, device)?.to_dtype(dtype)?)
        };
        insert(
            &format!("{DECODER}.0.weight"),
            (0..(z + c) * d).map(entry).collect(),
            (z + c, d).into(),
        )?;
        insert(
            &format!("{DECODER}.0.bias"),
            ((z + c) * d..(z + c + 1) * d).map(entry).collect(),
            d.into(),
        )?;
        if self.config.fixed_deviation.is_none() {
            let count = if self.config.deviation == Deviation::Shared {
                1
            } else {
                d
            };
            let raw = linear.noise_variances[..count].iter().map(|v| self.raw(v.sqrt()));
            insert("deviation", raw.collect(), (1, count).into())?;
        }
        Ok(theta)
    }
}

impl LatentGaussianJoint<'_> {
    fn rows(&self) -> Result<PlainRows> {
        Ok(PlainRows {
            x: plain(&self.batch.observed)?,
            outputs: self.model.columns,
            c: self.batch.given.as_ref().map(plain).transpose()?,
            inputs: self.model.given,
        })
    }

    /// `log p(x)`, a function of θ. `[B]`
    pub(super) fn linear_log_prob(&self) -> Result<Tensor> {
        let [weight, bias, raw] = self.model.parts(self.theta)?;
        let operation = Operation {
            form: self.model.form(),
            rows: self.rows()?,
        };
        let values = weight.apply_op3(&bias, &raw, operation)?;
        Ok(values.to_dtype(self.theta.dtype())?.to_device(&self.theta.device())?)
    }

    /// `p(z|x)`.
    pub(super) fn linear_posterior(&self) -> Result<GaussianPosterior> {
        let rows = self.rows()?;
        let posterior = self.model.linear(self.theta)?.posterior(rows.x(), rows.c())?;
        Ok(GaussianPosterior {
            means: posterior.means,
            covariance: posterior.covariance,
        })
    }
}

/// Rows as plain numbers.
struct PlainRows {
    x: Vec<f64>,
    outputs: usize,
    c: Option<Vec<f64>>,
    inputs: usize,
}

impl PlainRows {
    fn x(&self) -> Rows<'_> {
        Rows {
            values: &self.x,
            columns: self.outputs,
        }
    }

    fn c(&self) -> Option<Rows<'_>> {
        let values = self.c.as_deref();
        values.map(|values| Rows {
            values,
            columns: self.inputs,
        })
    }
}

/// `log p(x)` of some rows, from weight, bias and raw standard deviations: `[B]`.
struct Operation {
    form: Form,
    rows: PlainRows,
}

impl CustomOp3 for Operation {
    fn name(&self) -> &'static str {
        "linear_latent"
    }

    fn cpu_fwd(
        &self,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
        raw: &CpuStorage,
        raw_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let linear = self.form.assemble(
            doubles(weight, weight_layout)?,
            doubles(bias, bias_layout)?,
            doubles(raw, raw_layout)?,
        );
        let values = linear.log_likelihood(self.rows.x(), self.rows.c());
        let values = values.map_err(candle_core::Error::wrap)?;
        let count = values.len();
        Ok((CpuStorage::F64(values), count.into()))
    }

    fn bwd(
        &self,
        weight: &Tensor,
        bias: &Tensor,
        raw: &Tensor,
        _: &Tensor,
        gradients: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let numbers = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f64>();
        let raw_numbers = numbers(raw)?;
        let linear = self.form.assemble(&numbers(weight)?, &numbers(bias)?, &raw_numbers);
        let gradient = linear.gradient(self.rows.x(), self.rows.c(), &numbers(gradients)?);
        let gradient = gradient.map_err(candle_core::Error::wrap)?;
        let (z, c, d) = (linear.latents, linear.inputs, linear.outputs);
        let entry = |at: usize| match (at / d, at % d) {
            (i, j) if i < z => gradient.loadings[j * z + i],
            (i, j) => gradient.coefficients[j * (c + 1) + i - z],
        };
        // ∂ log σ / ∂ raw = exp(raw) / σ.
        let mut by_raw = vec![0.0; raw_numbers.len()];
        for (j, gradient) in gradient.log_deviations.iter().enumerate() {
            let at = j.min(by_raw.len() - 1);
            let excess = raw_numbers[at].exp();
            by_raw[at] += gradient * excess / (self.form.deviation_floor + excess);
        }
        let tensor = |values: Vec<f64>, like: &Tensor| Tensor::from_vec(values, like.shape(), &Device::Cpu).map(Some);
        Ok((
            tensor((0..(z + c) * d).map(entry).collect(), weight)?,
            tensor(((z + c) * d..(z + c + 1) * d).map(entry).collect(), bias)?,
            tensor(by_raw, raw)?,
        ))
    }
}

/// The f64 numbers of one contiguous argument.
fn doubles<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f64]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F64(values), Some((start, end))) => Ok(&values[start..end]),
        _ => candle_core::bail!("a linear latent variable takes contiguous f64"),
    }
}

impl ClosedForm for LatentGaussianModel {
    fn sweeps<'a>(&'a self, data: &'a Dataset) -> Result<Box<dyn Sweeps + 'a>> {
        let given = data.given.as_ref().map(Field::view);
        Ok(Box::new(LinearSweeps {
            model: self,
            rows: Observations::new(data.observed.view(), given, data.weights.as_deref())?,
            weight: data.total_weight(),
        }))
    }
}

/// The linear model with the rows it is fitted to.
struct LinearSweeps<'a> {
    model: &'a LatentGaussianModel,
    rows: Observations<'a>,
    weight: f64,
}

impl Sweeps for LinearSweeps<'_> {
    fn exact(&self) -> Option<&dyn ExactSweep> {
        Some(self)
    }

    fn responsibilities(&self) -> Option<&dyn ResponsibilitySweep> {
        None
    }

    fn trajectories(&self) -> Option<&dyn TrajectorySweep> {
        None
    }
}

impl ExactSweep for LinearSweeps<'_> {
    fn improve(&self, theta: &Parameters, _threads: usize, _rng: Option<&mut Generator>) -> Result<Improvement> {
        let old = self.model.linear(theta)?;
        let log_likelihood = self.weight * old.mean_log_likelihood(&self.rows)?;
        let learning = Learning {
            loadings: true,
            coefficients: true,
            noise: match (self.model.config.fixed_deviation, self.model.config.deviation) {
                (Some(_), _) => Noise::Fixed,
                (None, Deviation::Shared) => Noise::Spherical,
                (None, _) => Noise::Diagonal,
            },
        };
        let new = old.em_step(&self.rows, &learning)?;
        Ok(Improvement {
            log_likelihood: Some(log_likelihood),
            lower_bound: log_likelihood,
            theta: self.model.theta_of(&new, theta.dtype(), &theta.device())?,
            events: match new
                .noise_variances
                .iter()
                .any(|v| v.sqrt() < 1.1 * self.model.deviation_floor)
            {
                true => vec!["`deviation` reached its floor".to_owned()],
                false => Vec::new(),
            },
        })
    }
}
