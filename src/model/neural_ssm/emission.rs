//! p(o_t | x_t): Gaussians or Bernoulli variables whose parameters are functions of x.
//!
//! Gaussians are computed for standardised observations (o − m) / s, with m and s of the training steps: their floor is
//! relative to the data's deviations, and f32 keeps its digits whatever the units. `Σ_d log s_d` turns the log-density
//! into that of the data's units.

use super::decoder::Decoder;
use super::entries::Entries;
use super::formula::Formulas;
use super::reward::reward;
use super::transition::raw_deviations;
use super::{EmissionFunction, FloorKeys, Likelihood, NeuralSsm, NoiseForm};
use crate::error::Fault;
use crate::math::streams::Stream;
use crate::model::{LinearEmission, Normal};
use crate::nn::{self, Parameters, Perceptron};
use crate::{Error, Result};
use candle_core::{D, DType, Device, Tensor};

/// The prefix of its parameters.
const EMISSION: &str = "emission";
/// The prefix of the parameters of rewards.
const REWARD: &str = "reward";
/// The smallest deviation now, if it has a schedule. `[1]`
const FLOOR: &str = "emission.floor";
/// The share of the data's variance that the emission leaves unexplained at the start.
const FIRST_SHARE: f64 = 0.25;
/// The least deviation at the start, as a multiple of its floor: at the floor itself it has no gradient.
const FIRST_ABOVE_FLOOR: f64 = 1.1;

/// Mean and standard deviation of each observed column over the training steps; 0 and 1 where there are none.
#[derive(Debug, Clone, Default)]
pub(super) struct Moments {
    pub means: Vec<f64>,
    pub deviations: Vec<f64>,
}

/// The parameters of p(o|x) as functions of x.
#[derive(Debug, Clone)]
pub(super) enum Function {
    /// C x + d, in the data's units.
    Linear { matrix: Entries, offset: Entries },
    /// A network, in standardised units.
    Network(Decoder),
    /// Formulas, in the data's units.
    Formula(Formulas),
}

/// What an observation is conditioned on, row by row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cause<'a> {
    /// `[N, X]`
    pub state: &'a Tensor,
    /// h, which a network sees. `[N, H]`
    pub deterministic: Option<&'a Tensor>,
    /// Standardised, which rewards see. `[N, U]`
    pub inputs: Option<&'a Tensor>,
}

/// p(o | x), and p(r | x, u) of the last columns.
#[derive(Debug, Clone)]
pub(super) struct Emission {
    pub function: Function,
    /// The means of the last columns, if they are rewards.
    reward: Option<Perceptron>,
    pub likelihood: Likelihood,
    /// Raw standard deviations of standardised observations; none if they are outputs of the network, or there are none.
    /// `[1, O]`
    pub raw: Option<Entries>,
    pub moments: Moments,
    /// The smallest deviation of standardised observations, at the end of its schedule.
    floor: f64,
    schedule: Option<FloorKeys>,
}

impl Emission {
    /// The emission of a table, for columns with these moments. A network sees the state and this many deterministic
    /// numbers, that of rewards this many inputs, too; linear emissions and formulas see the state alone. Random entries of
    /// a linear emission come from its initial values, not from here.
    pub fn new(
        keys: &NeuralSsm,
        moments: Moments,
        (deterministic, inputs): (usize, usize),
    ) -> std::result::Result<Self, Fault> {
        let x = keys.states;
        let reward = reward(keys, moments.means.len(), x + deterministic + inputs)?;
        let o = moments.means.len() - reward.as_ref().map_or(0, Perceptron::outputs);
        let floor = keys.emission_deviation_floor;
        let is_gaussian = keys.likelihood == Likelihood::Gaussian;
        let is_constant = keys.emission_noise == NoiseForm::Constant;
        if is_gaussian && !is_constant && !matches!(keys.emission, EmissionFunction::Perceptron(_)) {
            return Err(Fault::new(
                "emission_noise",
                "this emission has no network for its standard deviations",
                "`emission_noise = \"constant\"`",
                "remove it, or set `emission.kind = \"perceptron\"`",
            ));
        }
        let function = match &keys.emission {
            EmissionFunction::Formula(own) => {
                Function::Formula(Formulas::new("emission.parameters", "emission", own, (x, 0, o))?)
            }
            EmissionFunction::Linear(linear) => {
                let start = moments.means[..o].iter().map(|mean| match is_gaussian {
                    true => *mean,
                    false => logit(*mean),
                });
                let start: Vec<f64> = start.collect();
                Function::Linear {
                    matrix: Entries::matrix(
                        "emission.matrix",
                        "emission.matrix",
                        &linear.matrix,
                        (o, x),
                        &vec![0.0; o * x],
                    )?,
                    offset: Entries::vector("emission.offset", "emission.offset", &linear.offset, &start)?,
                }
            }
            EmissionFunction::Perceptron(own) => {
                if let Some(skip) = own.skip.filter(|skip| skip.alone + skip.ramp > 1.0) {
                    return Err(skip.too_long());
                }
                let outputs = o * if is_gaussian && !is_constant { 2 } else { 1 };
                let decoder = Decoder::new(own, x + deterministic, outputs);
                let fault =
                    |error: Error| Fault::new("emission.hidden", error.to_string(), "layers of units", "list them");
                Function::Network(decoder.map_err(fault)?)
            }
        };
        let schedule = keys.emission_deviation_floor_schedule;
        let first_floor = schedule.map_or(floor, |schedule| schedule.at(0.0, floor));
        let share = FIRST_SHARE.max((FIRST_ABOVE_FLOOR * first_floor).powi(2));
        let first: Vec<f64> = moments.deviations.iter().map(|s| share * s * s).collect();
        let variances = Entries::vector("emission.raw", "emission_variances", &keys.emission_variances, &first)?;
        let relative = variances.map(|at, variance| variance / moments.deviations[at].powi(2));
        let raw = match is_gaussian && is_constant {
            true => Some(raw_deviations(relative, "emission_variances", first_floor)?),
            false => None,
        };
        Ok(Self {
            function,
            reward,
            likelihood: keys.likelihood,
            raw,
            moments,
            floor,
            schedule,
        })
    }

    /// The smallest deviation of standardised observations under θ.
    pub fn floor(&self, theta: &Parameters) -> Result<f64> {
        match self.schedule {
            Some(_) => {
                let floor = theta.get(FLOOR)?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
                Ok(floor.first().copied().unwrap_or(self.floor))
            }
            None => Ok(self.floor),
        }
    }

    /// Sets what changes during training to its value after this share of it.
    pub fn schedule(&self, theta: &Parameters, share: f64) -> Result<()> {
        if let Some(schedule) = self.schedule {
            theta.fill(FLOOR, schedule.at(share, self.floor))?;
        }
        match &self.function {
            Function::Network(decoder) => decoder.schedule(theta, share),
            _ => Ok(()),
        }
    }

    /// The share of training after which that is constant.
    pub fn schedule_ends(&self) -> f64 {
        let own = self.schedule.map_or(0.0, |schedule| schedule.until);
        match &self.function {
            Function::Network(decoder) => decoder.schedule_ends().max(own),
            _ => own,
        }
    }

    /// Adds the initial parameters.
    pub fn initial(
        &self,
        theta: &mut Parameters,
        (dtype, device): (DType, &Device),
        streams: &dyn Fn(&str) -> Stream,
    ) -> Result<()> {
        let stream = &streams(EMISSION);
        if let Some(raw) = &self.raw {
            raw.initial(theta, dtype, device)?;
        }
        if let Some(schedule) = self.schedule {
            let floor = Tensor::full(schedule.at(0.0, self.floor), 1, device)?;
            theta.insert(FLOOR, &floor.to_dtype(dtype)?)?;
        }
        if let Some(network) = &self.reward {
            network.initial(REWARD, theta, dtype, device, &streams(REWARD))?;
        }
        let columns = self.columns();
        match &self.function {
            Function::Linear { matrix, offset } => {
                offset.initial(theta, dtype, device)?;
                matrix.initial_scaled(theta, (dtype, device), stream, |row| match self.likelihood {
                    Likelihood::Gaussian => self.moments.deviations[row],
                    Likelihood::Bernoulli => 1.0,
                })
            }
            Function::Formula(formulas) => formulas
                .parameters
                .iter()
                .try_for_each(|own| own.initial(theta, dtype, device)),
            Function::Network(decoder) => {
                let floor = self.floor(theta)?;
                let raw = FIRST_SHARE.sqrt().max(FIRST_ABOVE_FLOOR * floor);
                let bias: Vec<f64> = (0..decoder.outputs())
                    .map(|at| match self.likelihood {
                        Likelihood::Bernoulli => logit(self.moments.means[at]),
                        Likelihood::Gaussian if at < columns => 0.0,
                        Likelihood::Gaussian => Normal::raw_of(raw, floor),
                    })
                    .collect();
                decoder.initial(theta, (dtype, device), &bias, stream)
            }
        }
    }

    /// Entries among the parameters that are not learnt.
    pub fn not_learnt(&self) -> usize {
        let decoder = match &self.function {
            Function::Network(decoder) => decoder.constants(),
            _ => 0,
        };
        let linear = match &self.function {
            Function::Linear { matrix, offset } => vec![matrix, offset],
            Function::Formula(formulas) => formulas.parameters.iter().collect(),
            Function::Network(_) => Vec::new(),
        };
        let entries = linear.into_iter().chain(&self.raw).map(Entries::fixed_beside_learnt);
        entries.sum::<usize>() + decoder + usize::from(self.schedule.is_some())
    }

    /// The columns that are functions of the state alone.
    fn columns(&self) -> usize {
        self.moments.means.len() - self.reward.as_ref().map_or(0, Perceptron::outputs)
    }

    /// Shift and scale of the observations, `[1, O]` each.
    pub fn shift_and_scale(&self, dtype: DType) -> Result<[Tensor; 2]> {
        let row = |values: &[f64]| -> Result<Tensor> {
            Ok(Tensor::from_slice(values, (1, values.len()), &Device::Cpu)?.to_dtype(dtype)?)
        };
        Ok([row(&self.moments.means)?, row(&self.moments.deviations)?])
    }

    /// The location of every row: means of standardised observations or logits, and raw standard deviations of a Gaussian.
    /// `[N, O]`, and `[N, O]` or `[1, O]`
    pub fn apply(&self, theta: &Parameters, cause: Cause<'_>) -> Result<(Tensor, Option<Tensor>)> {
        let (columns, state) = (self.columns(), cause.state);
        let seen = |inputs: Option<&Tensor>| -> Result<Tensor> {
            let parts: Vec<&Tensor> = [Some(state), cause.deterministic, inputs]
                .into_iter()
                .flatten()
                .collect();
            Ok(match parts[..] {
                [state] => state.clone(),
                _ => Tensor::cat(&parts, 1)?,
            })
        };
        let output = match &self.function {
            Function::Linear { matrix, offset } => {
                let location = state.matmul(&matrix.value(theta)?.t()?.contiguous()?)?;
                self.standardized(location.broadcast_add(&offset.value(theta)?)?)?
            }
            Function::Formula(formulas) => self.standardized(formulas.apply(theta, state)?)?,
            Function::Network(decoder) => decoder.forward(theta, &seen(None)?)?,
        };
        let output = match &self.reward {
            Some(network) => {
                let rewards = network.forward(theta, REWARD, &seen(cause.inputs)?)?;
                Tensor::cat(&[&output, &rewards], 1)?
            }
            None => output,
        };
        if self.likelihood == Likelihood::Bernoulli {
            return Ok((output, None));
        }
        Ok(match &self.raw {
            Some(raw) => (output, Some(raw.value(theta)?)),
            None => {
                let raw = output.narrow(1, columns, columns)?;
                (output.narrow(1, 0, columns)?, Some(raw))
            }
        })
    }

    /// E[o | x] of a Gaussian, in the data's units. `[N, O]`
    pub fn mean(&self, theta: &Parameters, cause: Cause<'_>) -> Result<Tensor> {
        let (location, _) = self.apply(theta, cause)?;
        let [shift, scale] = self.shift_and_scale(location.dtype())?;
        Ok(location.broadcast_mul(&scale)?.broadcast_add(&shift)?)
    }

    /// Means in the data's units as those of standardised observations; logits as they are.
    fn standardized(&self, location: Tensor) -> Result<Tensor> {
        match self.likelihood {
            Likelihood::Bernoulli => Ok(location),
            Likelihood::Gaussian => {
                let columns = location.dim(1)?;
                let [shift, scale] = self.shift_and_scale(location.dtype())?;
                let own = |row: Tensor| row.narrow(1, 0, columns);
                Ok(location.broadcast_sub(&own(shift)?)?.broadcast_div(&own(scale)?)?)
            }
        }
    }

    /// log p(o | x), in nats per row: `target` `[N, O]` holds standardised (or binary) observations, `present` 1 at
    /// values that are there. `[N]`
    pub fn log_prob(
        &self,
        theta: &Parameters,
        cause: Cause<'_>,
        target: &Tensor,
        present: Option<&Tensor>,
    ) -> Result<Tensor> {
        let (location, raw) = self.apply(theta, cause)?;
        let floor = self.floor(theta)?;
        let density = match (raw, present) {
            (Some(raw), None) => {
                let log_scale: f64 = self.moments.deviations.iter().map(|s| s.ln()).sum();
                return Ok((nn::gaussian_log_density(target, &location, &raw, floor)? - log_scale)?);
            }
            (None, None) => return nn::bernoulli_log_density(target, &location),
            (Some(raw), Some(_)) => {
                let normal = Normal {
                    mean: location,
                    raw,
                    floor,
                };
                let log_scale: Vec<f64> = self.moments.deviations.iter().map(|s| s.ln()).collect();
                let log_scale = Tensor::new(log_scale, target.device())?.to_dtype(target.dtype())?;
                normal.log_probs(target)?.broadcast_sub(&log_scale)?
            }
            (None, Some(_)) => {
                let flat = (target.elem_count(), 1);
                let values = nn::bernoulli_log_density(&target.reshape(flat)?, &location.reshape(flat)?)?;
                values.reshape(target.shape())?
            }
        };
        let present = present.map_or_else(|| target.ones_like(), |present| Ok(present.clone()))?;
        Ok((density * present)?.sum(D::Minus1)?)
    }

    /// The same as a linear Gaussian, if it is one.
    pub fn linear(&self, theta: &Parameters) -> Result<Option<LinearEmission>> {
        let (Function::Linear { matrix, offset }, Some(raw), None) = (&self.function, &self.raw, &self.reward) else {
            return Ok(None);
        };
        let raw = raw.value(theta)?;
        let [_, scale] = self.shift_and_scale(raw.dtype())?;
        let normal = Normal {
            mean: raw.zeros_like()?,
            raw,
            floor: self.floor(theta)?,
        };
        Ok(Some(LinearEmission {
            matrix: matrix.value(theta)?,
            offset: offset.value(theta)?,
            variances: (normal.deviation()? * scale)?.sqr()?,
        }))
    }

    /// One observation for each row, in the data's units, as functions of standard normal (or uniform) numbers `[N, O]`.
    pub fn sample(&self, theta: &Parameters, cause: Cause<'_>, noise: &Tensor) -> Result<Tensor> {
        let (location, raw) = self.apply(theta, cause)?;
        match raw {
            Some(raw) => {
                let normal = Normal {
                    mean: location,
                    raw,
                    floor: self.floor(theta)?,
                };
                let [shift, scale] = self.shift_and_scale(noise.dtype())?;
                Ok(normal.draw(noise)?.broadcast_mul(&scale)?.broadcast_add(&shift)?)
            }
            None => {
                let probability = (((location * 0.5)?.tanh()? + 1.0)? * 0.5)?;
                Ok(noise.lt(&probability)?.to_dtype(noise.dtype())?)
            }
        }
    }
}

/// The logit of a share, away from 0 and 1.
fn logit(share: f64) -> f64 {
    let p = share.clamp(0.01, 0.99);
    (p / (1.0 - p)).ln()
}
