//! The family `conjugate` (Johnson et al. 2016, section 3): networks give a Gaussian potential of each state, and q is the
//! exact posterior of a linear-Gaussian prior under these potentials.
//!
//! A potential N(m_t; x_t, diag s_t²) is an observation m_t of x_t with noise s_t. So
//! `log q(x) = log p(x) + Σ_t log N(m_t; x_t, diag s_t²) − log p(m)`, where p(m) is the likelihood of a Kalman filter. A draw
//! is a path of the prior, moved by what the smoother makes of the difference to the potentials (Durbin & Koopman 2002):
//! `x⁺ + E[x given m] − E[x given m⁺]`. The entries of m_t are filtered one by one, so no matrix is inverted (Koopman &
//! Durbin 2000). All of it is in f64: variances of a filter are small differences of large numbers.

use super::networks::Networks;
use crate::Result;
use crate::error::provided;
use crate::math::LN_2PI;
use crate::math::streams::Generator;
use crate::model::{Latents, Normal, Sequential};
use crate::nn::{self, Parameters};
use crate::posterior::Distribution;
use candle_core::{D, DType, Tensor};
use std::sync::Arc;

/// q of the sequences of a batch. Everything but the type of the draws is f64.
#[derive(Debug, Clone)]
pub(super) struct Conjugate {
    prior: Prior,
    /// m_t. `[B, T, X]`
    means: Tensor,
    /// s_t. `[B, T, X]`
    deviations: Tensor,
    /// 1 at the steps of a sequence, 0 beyond its end. `[B, T, 1]`
    mask: Tensor,
    dtype: DType,
}

/// p(x_1) and p(x_{t+1} | x_t, u_t) = N(x_t W + c_t, diag q²), states in rows.
#[derive(Debug, Clone)]
struct Prior {
    /// The mean of x_1. `[1, X]`
    mean: Tensor,
    /// The standard deviations of x_1. `[1, X]`
    first: Tensor,
    /// W, the transposed transition matrix. `[X, X]`
    weight: Tensor,
    /// c_t of t = 1 … T − 1; none of sequences of one step. `[B, T − 1, X]`
    drift: Option<Tensor>,
    /// q. `[1, X]`
    later: Tensor,
}

/// What a filter knows before it sees numbers.
struct Gains {
    steps: Vec<StepGains>,
}

/// One step of [`Gains`].
struct StepGains {
    /// The covariance of x_t given the potentials before. `[B, X, X]`
    predicted: Tensor,
    /// For each entry of m_t, one after the other.
    entries: Vec<Gain>,
}

/// One entry of a potential.
struct Gain {
    /// What the states move by, for a difference of 1. `[B, 1, X]`
    gain: Tensor,
    /// The precision of the difference; 0 beyond the end. `[B, 1, 1]`
    precision: Tensor,
}

/// What a filter makes of numbers.
struct Filtered {
    /// The means of x_t given the numbers before, T of `[B, S, X]`.
    predicted: Vec<Tensor>,
    /// Differences of each entry to its prediction, T × X of `[B, S, 1]`.
    differences: Vec<Vec<Tensor>>,
}

impl Conjugate {
    pub fn new(networks: &Networks, model: &dyn Sequential, parameters: &Parameters) -> Result<Self> {
        let (b, t) = model.steps().dims();
        let x = model.states();
        let potentials = networks.gaussian(
            parameters,
            &networks.context(model, parameters)?.flatten_to(1)?,
            None,
            None,
            false,
        )?;
        let wide = |tensor: &Tensor| tensor.to_dtype(DType::F64);
        let mask = match &model.steps().mask {
            Some(mask) => wide(mask)?.unsqueeze(D::Minus1)?,
            None => Tensor::ones((b, t, 1), DType::F64, model.features().device())?,
        };
        Ok(Self {
            prior: Prior::new(model)?,
            means: wide(&potentials.mean)?.reshape((b, t, x))?,
            deviations: wide(&potentials.deviation()?)?.reshape((b, t, x))?,
            mask,
            dtype: model.features().dtype(),
        })
    }

    /// Gains of all steps: they do not depend on the means.
    fn gains(&self) -> Result<Gains> {
        let (b, t, x) = self.means.dims3()?;
        let diagonal = |deviations: &Tensor| -> Result<Tensor> {
            let identity = Tensor::eye(x, DType::F64, deviations.device())?;
            Ok(identity.broadcast_mul(&deviations.sqr()?)?)
        };
        let (weight, noise) = (&self.prior.weight, diagonal(&self.prior.later)?);
        let turned = weight.t()?.contiguous()?;
        let mut covariance = diagonal(&self.prior.first)?
            .unsqueeze(0)?
            .broadcast_as((b, x, x))?
            .contiguous()?;
        let mut steps = Vec::with_capacity(t);
        for step in 0..t {
            if step > 0 {
                covariance = turned
                    .broadcast_matmul(&covariance)?
                    .broadcast_matmul(weight)?
                    .broadcast_add(&noise)?;
            }
            let predicted = covariance.clone();
            let variances = self.deviations.narrow(1, step, 1)?.sqr()?; // [B, 1, X]
            let mask = self.mask.narrow(1, step, 1)?;
            let mut entries = Vec::with_capacity(x);
            for entry in 0..x {
                let row = covariance.narrow(1, entry, 1)?; // [B, 1, X]
                let variance = (row.narrow(2, entry, 1)? + variances.narrow(2, entry, 1)?)?;
                let precision = (&mask / variance)?;
                let gain = row.broadcast_mul(&precision)?;
                let known = row.transpose(1, 2)?.contiguous()?.broadcast_matmul(&gain)?;
                covariance = (covariance - known)?;
                entries.push(Gain { gain, precision });
            }
            steps.push(StepGains { predicted, entries });
        }
        Ok(Gains { steps })
    }

    /// The mean of the prior at every step. `[B, T, X]`
    fn prior_means(&self) -> Result<Tensor> {
        let (b, t, x) = self.means.dims3()?;
        let mut mean = self.prior.mean.broadcast_as((b, x))?.contiguous()?;
        let mut all = vec![mean.clone()];
        for step in 1..t {
            mean = self.prior.moved(&mean.unsqueeze(1)?, step)?.squeeze(1)?;
            all.push(mean.clone());
        }
        Ok(Tensor::stack(&all, 1)?)
    }

    /// The filter of a prior without means and drift, of numbers `[B, S, T, X]`.
    fn filtered(&self, gains: &Gains, numbers: &Tensor) -> Result<Filtered> {
        let (b, s, t, x) = numbers.dims4()?;
        let mut mean = Tensor::zeros((b, s, x), DType::F64, numbers.device())?;
        let mut filtered = Filtered {
            predicted: Vec::with_capacity(t),
            differences: Vec::with_capacity(t),
        };
        for (step, own) in gains.steps.iter().enumerate() {
            if step > 0 {
                mean = mean.broadcast_matmul(&self.prior.weight)?;
            }
            filtered.predicted.push(mean.clone());
            let now = numbers.narrow(2, step, 1)?.squeeze(2)?; // [B, S, X]
            let mut differences = Vec::with_capacity(x);
            for (entry, Gain { gain, .. }) in own.entries.iter().enumerate() {
                let difference = (now.narrow(2, entry, 1)? - mean.narrow(2, entry, 1)?)?;
                mean = (mean + difference.broadcast_mul(gain)?)?;
                differences.push(difference);
            }
            filtered.differences.push(differences);
        }
        Ok(filtered)
    }

    /// E[x given numbers `[B, S, T, X]`] of a prior without means and drift, by a sweep backwards (de Jong 1989).
    /// `[B, S, T, X]`
    fn smoothed(&self, gains: &Gains, numbers: &Tensor) -> Result<Tensor> {
        let (b, s, t, x) = numbers.dims4()?;
        let filtered = self.filtered(gains, numbers)?;
        let turned = self.prior.weight.t()?.contiguous()?;
        let identity = Tensor::eye(x, DType::F64, numbers.device())?;
        let mut later = Tensor::zeros((b, s, x), DType::F64, numbers.device())?;
        let mut means = Vec::with_capacity(t);
        for (step, own) in gains.steps.iter().enumerate().rev() {
            if step + 1 < t {
                later = later.broadcast_matmul(&turned)?;
            }
            for (entry, Gain { gain, precision }) in own.entries.iter().enumerate().rev() {
                let moved = later.broadcast_mul(gain)?.sum_keepdim(D::Minus1)?;
                let at = filtered.differences[step][entry]
                    .broadcast_mul(precision)?
                    .sub(&moved)?;
                later = (later + at.broadcast_mul(&identity.narrow(0, entry, 1)?)?)?;
            }
            means.push((&filtered.predicted[step] + later.matmul(&own.predicted)?)?);
        }
        means.reverse();
        Ok(Tensor::stack(&means, 2)?)
    }

    /// log p(m). `[B]`
    fn log_evidence(&self, gains: &Gains) -> Result<Tensor> {
        let numbers = (&self.means - self.prior_means()?)?.unsqueeze(1)?;
        let filtered = self.filtered(gains, &numbers)?;
        let mut terms = Vec::new();
        for (step, (own, differences)) in gains.steps.iter().zip(&filtered.differences).enumerate() {
            let mask = self.mask.narrow(1, step, 1)?;
            for (Gain { precision, .. }, difference) in own.entries.iter().zip(differences) {
                let squares = (difference.sqr()? * precision)?;
                // The logarithm of a precision that is not 0.
                let used = (precision + mask.affine(-1.0, 1.0)?)?;
                let log = (used.log()? - (&mask * LN_2PI)?)?;
                terms.push(((log - squares)? * 0.5)?.flatten_all()?);
            }
        }
        Ok(Tensor::stack(&terms, 0)?.sum(0)?)
    }

    /// log q of paths `[B, S, T, X]`. `[B, S]`
    fn log_density(&self, gains: &Gains, paths: &Tensor) -> Result<Tensor> {
        let paths = paths.to_dtype(DType::F64)?;
        let t = paths.dim(2)?;
        let normal = |x: &Tensor, mean: &Tensor, deviation: &Tensor| -> Result<Tensor> {
            let u = x.broadcast_sub(mean)?.broadcast_div(deviation)?;
            let log = ((u.sqr()? + LN_2PI)? * -0.5)?.broadcast_sub(&deviation.log()?)?;
            Ok(log.sum(D::Minus1)?)
        };
        let potentials = normal(&paths, &self.means.unsqueeze(1)?, &self.deviations.unsqueeze(1)?)?;
        let prior = &self.prior;
        let first = normal(&paths.narrow(2, 0, 1)?, &prior.mean, &prior.first)?;
        let prior = match t {
            1 => first,
            _ => {
                let before = paths
                    .narrow(2, 0, t - 1)?
                    .contiguous()?
                    .broadcast_matmul(&prior.weight)?;
                let means = match &prior.drift {
                    Some(drift) => before.broadcast_add(&drift.unsqueeze(1)?)?,
                    None => before,
                };
                let later = normal(&paths.narrow(2, 1, t - 1)?, &means, &prior.later)?;
                Tensor::cat(&[first, later], 2)?
            }
        };
        let mask = self.mask.squeeze(2)?.unsqueeze(1)?; // [B, 1, T]
        let sum = (prior + potentials)?.broadcast_mul(&mask)?.sum(D::Minus1)?;
        let evidence = self.log_evidence(gains)?.unsqueeze(1)?;
        Ok(sum.broadcast_sub(&evidence)?.to_dtype(self.dtype)?)
    }

    /// S draws for each sequence, in f64. `[B, S, T, X]`
    fn drawn(&self, gains: &Gains, samples: usize, generator: &mut Generator) -> Result<Tensor> {
        let (b, t, x) = self.means.dims3()?;
        let device = self.means.device();
        let mut noise = |shape| nn::normal(&mut *generator, shape, DType::F64, device);
        let mut state = noise((b, samples, x))?
            .broadcast_mul(&self.prior.first)?
            .broadcast_add(&self.prior.mean)?;
        let mut path = vec![state.clone()];
        for step in 1..t {
            let moved = self.prior.moved(&state, step)?;
            state = (moved + noise((b, samples, x))?.broadcast_mul(&self.prior.later)?)?;
            path.push(state.clone());
        }
        let path = Tensor::stack(&path, 2)?;
        let noise = noise((b, samples * t, x))?.reshape((b, samples, t, x))?;
        let observed = (&path + noise.broadcast_mul(&self.deviations.unsqueeze(1)?)?)?;
        let difference = self.means.unsqueeze(1)?.broadcast_sub(&observed)?;
        Ok((path + self.smoothed(gains, &difference)?)?)
    }
}

impl Prior {
    fn new(model: &dyn Sequential) -> Result<Self> {
        let wide = |tensor: &Tensor| tensor.to_dtype(DType::F64);
        let x = model.states();
        let initial = model.initial()?;
        let (mean, first) = (wide(&initial.mean)?, wide(&initial.deviation()?)?);
        let lacking = "a linear transition of constant noise";
        if model.steps().dims().1 < 2 {
            return Ok(Self {
                weight: Tensor::eye(x, DType::F64, mean.device())?,
                drift: None,
                later: first.ones_like()?,
                mean,
                first,
            });
        }
        let transition = provided(model.recursion()?, lacking)?;
        let steps = transition.steps;
        let raw = provided(transition.raw.filter(|_| steps.hidden.is_none()), lacking)?;
        let noise = Normal {
            mean: raw.clone(),
            raw,
            floor: steps.floor,
        };
        Ok(Self {
            weight: wide(&steps.direct.narrow(1, 0, x)?.contiguous()?)?,
            drift: Some(wide(&steps.context.narrow(2, 0, x)?)?),
            later: wide(&noise.deviation()?)?,
            mean,
            first,
        })
    }

    /// The means of x at `step`, from 1, given states `[B, S, X]` before it.
    fn moved(&self, states: &Tensor, step: usize) -> Result<Tensor> {
        let moved = states.broadcast_matmul(&self.weight)?;
        Ok(match &self.drift {
            Some(drift) => moved.broadcast_add(&drift.narrow(1, step - 1, 1)?)?,
            None => moved,
        })
    }

    fn detached(&self) -> Self {
        Self {
            mean: self.mean.detach(),
            first: self.first.detach(),
            weight: self.weight.detach(),
            drift: self.drift.as_ref().map(Tensor::detach),
            later: self.later.detach(),
        }
    }
}

impl Distribution for Conjugate {
    fn draw(&self, samples: usize, generator: &mut Generator) -> Result<Latents> {
        let paths = self.drawn(&self.gains()?, samples, generator)?;
        Ok(Latents::Paths(paths.to_dtype(self.dtype)?))
    }

    fn log_prob(&self, latents: &Latents) -> Result<Option<Tensor>> {
        let Latents::Paths(paths) = latents else {
            return Err(latents.unexpected("paths of states"));
        };
        self.log_density(&self.gains()?, paths).map(Some)
    }

    fn draw_with_log_prob(&self, samples: usize, generator: &mut Generator) -> Result<(Latents, Option<Tensor>)> {
        let gains = self.gains()?;
        let paths = self.drawn(&gains, samples, generator)?;
        let log_q = self.log_density(&gains, &paths)?;
        Ok((Latents::Paths(paths.to_dtype(self.dtype)?), Some(log_q)))
    }

    /// E[x given the potentials]: the smoother of their means.
    fn state_means(&self) -> Result<Option<Tensor>> {
        let prior = self.prior_means()?; // [B, T, X]
        let numbers = (&self.means - &prior)?.unsqueeze(1)?;
        let means = (self.smoothed(&self.gains()?, &numbers)?.squeeze(1)? + prior)?;
        Ok(Some(means))
    }

    fn detached(&self) -> Arc<dyn Distribution> {
        Arc::new(Self {
            prior: self.prior.detached(),
            means: self.means.detach(),
            deviations: self.deviations.detach(),
            ..self.clone()
        })
    }
}
