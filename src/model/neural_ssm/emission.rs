//! p(o_t | x_t): Gaussians or Bernoulli variables whose parameters are functions of x.
//!
//! Gaussians are computed for standardised observations (o − m) / s, with m and s of the training steps: their floor is
//! relative to the data's deviations, and f32 keeps its digits whatever the units. `Σ_d log s_d` turns the log-density
//! into that of the data's units.

use super::convolutions::Convolutions;
use super::decoder::Decoder;
use super::entries::Entries;
use super::formula::Formulas;
use super::reward::{REWARD, reward};
use super::transition::raw_deviations;
use super::{EmissionFunction, EmissionNoise, FloorKeys, Likelihood, NeuralSsm};
use crate::error::Fault;
use crate::math::streams::Stream;
use crate::model::Normal;
use crate::nn::{Parameters, Perceptron};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};

/// The prefix of its parameters.
const EMISSION: &str = "emission";
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
    /// Convolutions, in standardised units.
    Convolutions(Convolutions),
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

impl Cause<'_> {
    /// x and h side by side, and the inputs behind them if they are asked for. `[N, X + H (+ U)]`
    pub(super) fn seen(&self, with_inputs: bool) -> Result<Tensor> {
        let inputs = self.inputs.filter(|_| with_inputs);
        let parts: Vec<&Tensor> = [Some(self.state), self.deterministic, inputs]
            .into_iter()
            .flatten()
            .collect();
        Ok(match parts[..] {
            [state] => state.clone(),
            _ => Tensor::cat(&parts, 1)?,
        })
    }
}

/// What the emission of a table depends on beside the moments of the columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// D of observations that are principal components and a residual.
    pub reduced_from: Option<usize>,
    /// Rows, columns and frames of an image.
    pub image: Option<[usize; 3]>,
    /// The length of h.
    pub deterministic: usize,
    /// The number of inputs.
    pub inputs: usize,
}

/// p(o | x), and p(r | x, u) of the last columns.
#[derive(Debug, Clone)]
pub(super) struct Emission {
    pub function: Function,
    /// The means of the last columns, if they are rewards.
    pub(super) reward: Option<Perceptron>,
    pub likelihood: Likelihood,
    /// Raw standard deviations of standardised observations; none if they are outputs of the network, or there are none.
    /// `[1, O]`, or `[1, 1]` if they are one.
    raw: Option<Entries>,
    /// Of the columns; of principal components with them, without the residual.
    pub moments: Moments,
    /// D of observations that are principal components and a residual, which is then their last column.
    pub reduced_from: Option<usize>,
    /// The smallest deviation of standardised observations, at the end of its schedule.
    floor: f64,
    schedule: Option<FloorKeys>,
}

impl Emission {
    /// The emission of a table, for columns with these moments. A network sees the state and h, that of rewards the inputs, too;
    /// linear emissions and formulas see the state alone. Random entries of a linear emission come from its initial values, not
    /// from here.
    pub fn new(keys: &NeuralSsm, moments: Moments, seen: Seen) -> std::result::Result<Self, Fault> {
        let x = keys.states;
        let Seen {
            reduced_from,
            image,
            deterministic,
            inputs,
        } = seen;
        let reward = reward(keys, moments.means.len(), x + deterministic + inputs)?;
        let o = moments.means.len() - reward.as_ref().map_or(0, Perceptron::outputs);
        let floor = keys.emission_deviation_floor;
        let is_gaussian = keys.likelihood == Likelihood::Gaussian;
        let is_constant = keys.emission_noise != EmissionNoise::StateDependent;
        let is_spherical = keys.emission_noise == EmissionNoise::Spherical;
        if keys.principal_components.is_some() && !(is_gaussian && is_spherical) {
            return Err(Fault::new(
                "emission_noise",
                "the residual of principal components has the deviation of all of them",
                "`emission_noise = \"spherical\"` of a Gaussian likelihood",
                "set it, or remove `principal_components`",
            ));
        }
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
            EmissionFunction::Convolutional(_) if reduced_from.is_some() || reward.is_some() => {
                return Err(Fault::new(
                    "emission.kind",
                    "convolutions give whole images, without principal components and rewards",
                    "another emission, such as `perceptron`",
                    "change it, or remove `principal_components` and `reward`",
                ));
            }
            EmissionFunction::Convolutional(own) => {
                Function::Convolutions(Convolutions::new(own, x + deterministic, image)?)
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
        let first: Vec<f64> = match is_spherical {
            true => vec![share],
            false => moments.deviations.iter().map(|s| share * s * s).collect(),
        };
        let variances = Entries::vector("emission.raw", "emission_variances", &keys.emission_variances, &first)?;
        let relative = match is_spherical {
            true => variances,
            false => variances.map(|at, variance| variance / moments.deviations[at].powi(2)),
        };
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
            reduced_from,
            floor,
            schedule,
        })
    }

    /// The raw deviations of standardised observations, if they are no outputs of the network. `[1, O]`
    pub fn raw(&self, theta: &Parameters) -> Result<Option<Tensor>> {
        let Some(raw) = &self.raw else { return Ok(None) };
        let (raw, columns) = (raw.value(theta)?, self.moments.means.len());
        Ok(Some(match raw.dim(1)? == columns {
            true => raw,
            false => raw.broadcast_as((1, columns))?.contiguous()?,
        }))
    }

    /// Whether the deviations are constant.
    pub fn is_constant(&self) -> bool {
        self.raw.is_some()
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
            Function::Convolutions(convolutions) => {
                let (frames, pixels) = (convolutions.frames(), self.moments.means.len());
                // Pixels of a frame share their bias: the mean of them all.
                let mean = |frame: usize| {
                    let own = self.moments.means.iter().skip(frame).step_by(frames);
                    own.sum::<f64>() * frames as f64 / pixels as f64
                };
                let bias = (0..frames).map(|frame| match self.likelihood {
                    Likelihood::Bernoulli => logit(mean(frame)),
                    Likelihood::Gaussian => 0.0,
                });
                convolutions.initial(theta, (dtype, device), &bias.collect::<Vec<_>>(), stream)
            }
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
            Function::Network(_) | Function::Convolutions(_) => Vec::new(),
        };
        let entries = linear.into_iter().chain(&self.raw).map(Entries::fixed_beside_learnt);
        entries.sum::<usize>() + decoder + usize::from(self.schedule.is_some())
    }

    /// The columns that are functions of the state alone.
    pub(super) fn columns(&self) -> usize {
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
        let output = match &self.function {
            Function::Linear { matrix, offset } => {
                let location = state.matmul(&matrix.value(theta)?.t()?.contiguous()?)?;
                self.standardized(location.broadcast_add(&offset.value(theta)?)?)?
            }
            Function::Formula(formulas) => self.standardized(formulas.apply(theta, state)?)?,
            Function::Network(decoder) => decoder.forward(theta, &cause.seen(false)?)?,
            Function::Convolutions(convolutions) => convolutions.forward(theta, &cause.seen(false)?)?,
        };
        let output = match self.standardized_rewards(theta, cause)? {
            Some(rewards) => Tensor::cat(&[&output, &rewards], 1)?,
            None => output,
        };
        if self.likelihood == Likelihood::Bernoulli {
            return Ok((output, None));
        }
        Ok(match self.raw(theta)? {
            Some(raw) => (output, Some(raw)),
            None => {
                let raw = output.narrow(1, columns, columns)?;
                (output.narrow(1, 0, columns)?, Some(raw))
            }
        })
    }
}

/// The logit of a share, away from 0 and 1.
fn logit(share: f64) -> f64 {
    let p = share.clamp(0.01, 0.99);
    (p / (1.0 - p)).ln()
}
