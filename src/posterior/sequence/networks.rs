//! The networks of q of a path: recurrent ones over the steps, and the head that gives each step's Gaussian.

use super::{Recognition, Sees, SequenceFamily};
use crate::Result;
use crate::math::streams::Streams;
use crate::model::{Joint, Latents, Normal, Sequential};
use crate::nn::{
    Activation, Direction, GatedRecurrent, GaussianRecursion, Parameters, Perceptron, RecursionLayer, RecursionNetwork,
};
use crate::posterior::recognition::DEVIATION_FLOOR;
use candle_core::{D, DType, Tensor};

/// Units of a recurrent network without a key.
const UNITS: usize = 64;
/// The scale of the head's outputs at the start: q hardly depends on the observations.
const FIRST_OUTPUT: f64 = 0.1;

/// The architecture.
#[derive(Debug, Clone)]
pub(super) struct Networks {
    pub family: SequenceFamily,
    past: Option<GatedRecurrent>,
    future: Option<GatedRecurrent>,
    window: usize,
    /// Whether the context holds log t.
    sees_step: bool,
    /// Whether the head is given the mean of p(x_t | x_{t−1}, u_{t−1}) beside the state before.
    pub sees_transition: bool,
    head: Perceptron,
    /// Beside the hidden layers, if there are any.
    skip: Option<Perceptron>,
    /// Where the features of the own step lie in the context, if the mean starts at a linear map of them.
    start: Option<(usize, usize)>,
    states: usize,
}

/// The names of the parameters.
const PAST: &str = "posterior.past";
const FUTURE: &str = "posterior.future";
const HEAD: &str = "posterior.head";
const SKIP: &str = "posterior.skip";
const FIRST: &str = "posterior.first";
const LOG_SCALE: &str = "posterior.log_scale";
/// W of the mean's start. `[F, X]`; its bias is `[1, X]`
pub(super) const START: &str = "posterior.start";
/// 0 while the mean stays at its start, then 1. `[1]`
pub(super) const GATE: &str = "posterior.gate";

impl Networks {
    pub fn new(recognition: Recognition, model: &dyn Sequential) -> Result<Self> {
        let keys = recognition.sequence;
        let family = keys.family();
        let (states, features) = (model.states(), model.features().dim(D::Minus1)?);
        let inputs = model
            .standardized_inputs()
            .map_or(Ok(0), |inputs| inputs.dim(D::Minus1))?;
        let units = keys.recurrent_units.unwrap_or(UNITS);
        let sees = keys.sees();
        let recurrent = |is_seen| match is_seen {
            true => GatedRecurrent::new(features + inputs, units).map(Some),
            false => Ok(None),
        };
        let past = recurrent(matches!(sees, Some(Sees::Past | Sees::All)))?;
        let future = recurrent(matches!(sees, Some(Sees::Future | Sees::All)))?;
        let window = keys.window.unwrap_or(1);
        let seen = [&past, &future].into_iter().flatten().count() * units;
        // A deterministic path, single steps and potentials see observations alone.
        let own = match family {
            SequenceFamily::Deterministic => window * features,
            SequenceFamily::SingleStep | SequenceFamily::Conjugate => features,
            _ => features + inputs,
        };
        let sees_step = keys.sees_step.unwrap_or(false);
        let before_own = seen + usize::from(sees_step);
        let start = keys.initial_values.map(|_| (before_own, features));
        let own = own + usize::from(sees_step);
        let sees_transition = keys.sees_transition.unwrap_or(false);
        let before = usize::from(family.is_chain()) + usize::from(sees_transition);
        let width = seen + own + before * states;
        let network = |hidden: &[usize], activation| {
            let network = Perceptron::new(width, hidden, 2 * states, activation)?;
            Ok::<_, crate::Error>(network.with_output_scale(FIRST_OUTPUT))
        };
        Ok(Self {
            family,
            past,
            future,
            window,
            sees_step,
            sees_transition,
            head: network(recognition.hidden, recognition.activation)?,
            skip: match recognition.hidden.is_empty() {
                true => None,
                false => Some(network(&[], Activation::Identity)?),
            },
            start,
            states,
        })
    }

    /// Adds initial parameters. The scale of the states is that of paths drawn from the model.
    pub fn initial(&self, joint: &dyn Joint, streams: &Streams, parameters: &mut Parameters) -> Result<()> {
        let (dtype, device) = (parameters.dtype(), parameters.device());
        let stream = |name: &str| streams.named(&format!("initial/{name}"));
        for (name, network) in [(PAST, &self.past), (FUTURE, &self.future)] {
            if let Some(network) = network {
                network.initial(name, parameters, dtype, &device, &stream(name))?;
            }
        }
        self.head.initial(HEAD, parameters, dtype, &device, &stream(HEAD))?;
        if let Some(skip) = &self.skip {
            skip.initial(SKIP, parameters, dtype, &device, &stream(SKIP))?;
        }
        if let Some((_, features)) = self.start {
            parameters.insert(START, &Tensor::zeros((features, self.states), dtype, &device)?)?;
            parameters.insert(
                format!("{START}.bias"),
                &Tensor::zeros((1, self.states), dtype, &device)?,
            )?;
            parameters.insert(GATE, &Tensor::ones(1, dtype, &device)?)?;
        }
        if self.family.is_chain() {
            parameters.insert(FIRST, &Tensor::zeros((1, self.states), dtype, &device)?)?;
        }
        let log_scale = match joint.sample_latents(1, &mut stream(LOG_SCALE).at(0))? {
            Latents::Paths(paths) => {
                let squares = paths.to_dtype(DType::F64)?.sqr()?.flatten_to(2)?.mean(0)?;
                let squares = squares.to_vec1::<f64>()?.into_iter();
                let usable = squares.map(|v| if v.is_finite() && v > 1e-12 { 0.5 * v.ln() } else { 0.0 });
                usable.collect()
            }
            _ => vec![0.0; self.states],
        };
        let log_scale = Tensor::from_vec(log_scale, (1, self.states), &device)?;
        parameters.insert(LOG_SCALE, &log_scale.to_dtype(dtype)?)
    }

    /// What every step sees beside the state before it. `[B, T, C]`
    pub fn context(&self, model: &dyn Sequential, parameters: &Parameters) -> Result<Tensor> {
        let features = model.features();
        let inputs = model.standardized_inputs();
        let (_, steps, _) = features.dims3()?;
        let before = |tensor: &Tensor, lag: usize| -> Result<Tensor> {
            let kept = steps.saturating_sub(lag);
            let padded = tensor.narrow(1, 0, kept)?.pad_with_zeros(1, steps - kept, 0)?;
            Ok(padded)
        };
        let mut parts = Vec::new();
        if self.sees_step {
            let logs: Vec<f64> = (1..=steps).map(|t| (t as f64).ln()).collect();
            let logs = Tensor::from_vec(logs, (1, steps, 1), features.device())?.to_dtype(features.dtype())?;
            parts.push(logs.broadcast_as((features.dim(0)?, steps, 1))?);
        }
        if self.family == SequenceFamily::Deterministic {
            for lag in 0..self.window {
                parts.push(before(features, lag)?);
            }
            return Ok(Tensor::cat(&parts, D::Minus1)?);
        }
        let last_inputs = inputs.map(|inputs| before(inputs, 1)).transpose()?;
        let joined = |more: Option<&Tensor>| -> Result<Tensor> {
            Ok(match more {
                Some(more) => Tensor::cat(&[features, more], D::Minus1)?,
                None => features.clone(),
            })
        };
        let lengths = model.steps().mask.as_ref().map(|_| &*model.steps().lengths);
        let rows = [
            (PAST, &self.past, last_inputs.as_ref(), Direction::Forward),
            (FUTURE, &self.future, inputs, Direction::Backward),
        ];
        for (name, network, more, direction) in rows {
            if let Some(network) = network {
                parts.push(network.sweep(parameters, name, &joined(more)?, None, lengths, direction)?);
            }
        }
        parts.push(match self.family {
            SequenceFamily::SingleStep | SequenceFamily::Conjugate => features.clone(),
            _ => joined(last_inputs.as_ref())?,
        });
        Ok(Tensor::cat(&parts, D::Minus1)?)
    }

    /// The Gaussians of rows of the context `[N, C]`, given the states before them `[N, X]` where the family is a chain, and
    /// the model's means of the states given those before `[N, X]` where it sees the transition; in units of 1 with
    /// `is_relative`, else in those of the states.
    pub fn gaussian(
        &self,
        parameters: &Parameters,
        context: &Tensor,
        previous: Option<&Tensor>,
        expected: Option<&Tensor>,
        is_relative: bool,
    ) -> Result<Normal> {
        let log_scale = parameters.get(LOG_SCALE)?;
        let scale = log_scale.exp()?;
        let input = match self.family.is_chain() {
            false => context.clone(),
            true => {
                let rows = context.dim(0)?;
                let previous = match previous {
                    Some(previous) => previous.broadcast_div(&scale)?,
                    None => parameters.get(FIRST)?.broadcast_as((rows, self.states))?.contiguous()?,
                };
                let expected = expected.filter(|_| self.sees_transition);
                let expected = expected.map(|mean| mean.broadcast_div(&scale)).transpose()?;
                let parts = [Some(context), Some(&previous), expected.as_ref()];
                Tensor::cat(&parts.into_iter().flatten().collect::<Vec<_>>(), 1)?
            }
        };
        let mut output = self.head.forward(parameters, HEAD, &input)?;
        if let Some(skip) = &self.skip {
            output = (output + skip.forward(parameters, SKIP, &input)?)?;
        }
        let (mean, raw) = (
            output.narrow(1, 0, self.states)?,
            output.narrow(1, self.states, self.states)?,
        );
        let started = |mean: Tensor| match self.start {
            Some((from, width)) => started(parameters, &context.narrow(1, from, width)?, &mean),
            None => Ok(mean),
        };
        Ok(match is_relative {
            true => Normal {
                mean,
                raw,
                floor: DEVIATION_FLOOR,
            },
            false => Normal {
                mean: started(mean.broadcast_mul(&scale)?)?,
                raw: raw.broadcast_add(log_scale)?,
                floor: DEVIATION_FLOOR,
            },
        })
    }

    /// The Gaussians of a chain, [`Networks::gaussian`], as a recursion over the steps of the context `[B, T, C]`; none with
    /// more than one hidden layer, or if it sees the transition. The scale of the states is in the weights.
    pub fn recursion(
        &self,
        parameters: &Parameters,
        context: &Tensor,
        is_relative: bool,
    ) -> Result<Option<GaussianRecursion>> {
        if self.sees_transition || self.start.is_some() {
            return Ok(None);
        }
        let (b, t, c) = context.dims3()?;
        let log_scale = parameters.get(LOG_SCALE)?; // [1, X]
        let scale = log_scale.exp()?;
        let scales = Tensor::cat(&[&scale, &scale.ones_like()?], 1)?; // [1, 2X]
        let shifts = Tensor::cat(&[&log_scale.zeros_like()?, log_scale], 1)?.squeeze(0)?;
        let scaled = |outputs: &Tensor| -> Result<Tensor> {
            Ok(match is_relative {
                true => outputs.clone(),
                false => outputs.broadcast_mul(&scales)?,
            })
        };
        let shifted = |bias: &Tensor| -> Result<Tensor> {
            Ok(match is_relative {
                true => bias.clone(),
                false => ((bias * scales.squeeze(0)?)? + &shifts)?,
            })
        };
        // Inputs are the context, then the state before.
        let of_context = |weight: &Tensor| weight.narrow(0, 0, c);
        let of_state = |weight: &Tensor| weight.narrow(0, c, self.states)?.broadcast_div(&scale.t()?);
        let (weight, first) = self.head.layer(parameters, HEAD, 0)?;
        let network = match (&self.skip, self.head.layers()) {
            (None, 1) => RecursionNetwork {
                hidden: None,
                direct: scaled(&of_state(weight)?)?,
                given: Some(scaled(&of_context(weight)?)?),
                bias: shifted(first)?,
            },
            (Some(skip), 2) => {
                let (output, last) = self.head.layer(parameters, HEAD, 1)?;
                let (direct, beside) = skip.layer(parameters, SKIP, 0)?;
                RecursionNetwork {
                    hidden: Some(RecursionLayer {
                        state: of_state(weight)?,
                        activation: self.head.activation(),
                        output: scaled(output)?,
                    }),
                    direct: scaled(&of_state(direct)?)?,
                    given: Some(Tensor::cat(&[&of_context(weight)?, &scaled(&of_context(direct)?)?], 1)?),
                    bias: Tensor::cat(&[first, &shifted(&(last + beside)?)?], 0)?,
                }
            }
            _ => return Ok(None),
        };
        network.recursion(Some(context), (b, t), DEVIATION_FLOOR).map(Some)
    }
}

/// W f + b + g m: the start of the mean at the features f of the own step, and the network's m, weighted by the gate g. No
/// gradient reaches W and b while the gate is closed. `[N, X]`
fn started(parameters: &Parameters, features: &Tensor, mean: &Tensor) -> Result<Tensor> {
    let gate = parameters.get(GATE)?.detach();
    let is_open = gate.to_dtype(DType::F64)?.to_vec1::<f64>()? != [0.0];
    let map = |name: &str| -> Result<Tensor> {
        let own = parameters.get(name)?;
        Ok(if is_open { own.clone() } else { own.detach() })
    };
    let start = features
        .matmul(&map(START)?)?
        .broadcast_add(&map(&format!("{START}.bias"))?)?;
    Ok(if is_open { (start + mean)? } else { start })
}

impl SequenceFamily {
    /// Whether the network of a step is given the state before it.
    pub(super) fn is_chain(self) -> bool {
        matches!(self, Self::Filtering | Self::Smoothing | Self::TransitionNoise)
    }

    /// Whether the model's own transition is part of q.
    pub(super) fn uses_transition(self) -> bool {
        matches!(self, Self::InitialOnly | Self::TransitionNoise)
    }
}
