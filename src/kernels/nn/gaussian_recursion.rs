//! Paths of a Gaussian recursion through which gradients flow: the samples of a filtering or smoothing posterior given a
//! context per step, or of the roll-outs of a transition (reparameterised as in Kingma & Welling 2014; over time as in
//! Krishnan et al. 2017).
//!
//! For t = 1, ..., T, with `x_0`, the context `c_t` and the noise `ε_t` given:
//!
//! ```text
//! h_t = tanh(x_{t-1} W + c_t)
//! mean_t = h_t V + b              (+ x_{t-1} if residual)
//! σ_t = floor + exp(h_t U + d)    raw numbers clamped to ±80
//! x_t = mean_t + σ_t ε_t
//! ```
//!
//! Without a hidden layer, `mean_t = x_{t-1} A + c_t` (`+ x_{t-1}`), and the raw number of `σ_t` is part of the context.
//!
//! Parameters: `{prefix}.state.weight`, W `[X, H]` or A `[X, X]`; with a hidden layer `{prefix}.output.weight` `[H, 2X]`,
//! V and U side by side, and `{prefix}.output.bias` `[2X]`, b and d.

use super::gaussian_recursion_operation::{Recursion, Sizes};
use super::{Parameters, composed, composed_sequences, normal};
use crate::math::streams::Stream;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};

/// The form of a Gaussian recursion; its weights and biases are in [`Parameters`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GaussianRecursion {
    dimension: usize,
    hidden: Option<usize>,
    deviation_floor: f64,
    is_residual: bool,
}

/// The weights of a recursion: parameters, or functions of parameters.
#[derive(Debug, Clone, Copy)]
pub struct RecursionWeights<'a> {
    /// `W` `[X, H]`, or `A` `[X, X]`.
    pub state: &'a Tensor,
    /// With a hidden layer, `[V U]` `[H, 2X]` and `[b d]` `[2X]`.
    pub output: Option<(&'a Tensor, &'a Tensor)>,
}

/// Samples of a recursion for t = 1, ..., T, with their Gaussians given the state before; each `[B, S, T, X]`.
#[derive(Debug, Clone)]
pub struct GaussianPaths {
    /// `x_t`.
    pub states: Tensor,
    /// `mean_t`.
    pub means: Tensor,
    /// `σ_t`, in the units of the states.
    pub deviations: Tensor,
}

impl GaussianRecursion {
    /// A recursion of states of `dimension` X through `hidden` units H, or a linear one; `deviation_floor` is the
    /// smallest standard deviation, in the units of the states.
    pub fn new(dimension: usize, hidden: Option<usize>, deviation_floor: f64) -> Result<Self> {
        let is_valid = dimension > 0 && hidden != Some(0) && deviation_floor >= 0.0 && deviation_floor.is_finite();
        if !is_valid {
            return Err(Error::Other(format!(
                "a Gaussian recursion expects at least one dimension, at least one hidden unit if any, and a floor of at \
                 least 0; got {dimension}, {hidden:?}, {deviation_floor}"
            )));
        }
        Ok(Self {
            dimension,
            hidden,
            deviation_floor,
            is_residual: false,
        })
    }

    /// The same recursion, which adds the state before to each mean.
    pub fn residual(self) -> Self {
        Self {
            is_residual: true,
            ..self
        }
    }

    /// C, how many numbers the context has per step: H, or 2X (shifts of the mean, raw numbers) for a linear recursion.
    pub fn context_size(&self) -> usize {
        self.hidden.unwrap_or(2 * self.dimension)
    }

    /// Adds initial parameters: weights normal with variance `1 / I` (LeCun et al. 1998), biases 0. The weight of the
    /// state draws from the generator `stream.at(0)`, that of the output from `stream.at(1)`, in f64.
    pub fn initial(
        &self,
        prefix: &str,
        parameters: &mut Parameters,
        dtype: DType,
        device: &Device,
        stream: &Stream,
    ) -> Result<()> {
        let x = self.dimension;
        let mut insert = |name: &str, value: Tensor| {
            parameters.insert(format!("{prefix}.{name}"), &value.to_dtype(dtype)?.to_device(device)?)
        };
        let weight = |index: u64, inputs: usize, outputs: usize| -> Result<Tensor> {
            let numbers = normal(stream.at(index), (inputs, outputs), DType::F64, &Device::Cpu)?;
            Ok((numbers / (inputs as f64).sqrt())?)
        };
        insert("state.weight", weight(0, x, self.hidden.unwrap_or(x))?)?;
        if let Some(h) = self.hidden {
            insert("output.weight", weight(1, h, 2 * x)?)?;
            insert("output.bias", Tensor::zeros(2 * x, DType::F64, &Device::Cpu)?)?;
        }
        Ok(())
    }

    /// The parameters under `prefix`.
    pub fn weights<'a>(&self, parameters: &'a Parameters, prefix: &str) -> Result<RecursionWeights<'a>> {
        let get = |name: &str| parameters.get(&format!("{prefix}.{name}"));
        let output = self
            .hidden
            .map(|_| Result::Ok((get("output.weight")?, get("output.bias")?)));
        Ok(RecursionWeights {
            state: get("state.weight")?,
            output: output.transpose()?,
        })
    }

    /// S paths for each of B contexts: `context` `[B, T, C]`, shared by the samples, `initial` `[X]` or `[B, S, X]`,
    /// `noise` `[B, S, T, X]`, standard normal. The noise is a constant; gradients reach everything else.
    ///
    /// # Errors
    /// If sizes disagree.
    pub fn paths(
        &self,
        weights: &RecursionWeights,
        context: &Tensor,
        initial: &Tensor,
        noise: &Tensor,
    ) -> Result<GaussianPaths> {
        let sizes = self.sizes(weights, context, initial, noise)?;
        let Sizes { b, s, x, .. } = sizes;
        let initial = initial.broadcast_as((b, s, x))?.contiguous()?;
        let noise = noise.detach().contiguous()?;
        if composed::wanted(context) {
            let form = (self.is_residual, self.deviation_floor);
            return composed_sequences::gaussian_recursion(weights, context, &initial, &noise, form);
        }
        let weights = match weights.output {
            Some((output, bias)) => Tensor::cat(&[&weights.state.flatten_all()?, &output.flatten_all()?, bias], 0)?,
            None => weights.state.flatten_all()?.contiguous()?,
        };
        let recursion = Recursion::new(sizes, self.is_residual, self.deviation_floor, noise);
        let all = context.contiguous()?.apply_op3(&initial, &weights, recursion)?; // [3, B, S, T, X]
        Ok(GaussianPaths {
            states: all.get(0)?,
            means: all.get(1)?,
            deviations: all.get(2)?,
        })
    }

    fn sizes(&self, weights: &RecursionWeights, context: &Tensor, initial: &Tensor, noise: &Tensor) -> Result<Sizes> {
        let (x, c) = (self.dimension, self.context_size());
        let fits_weights = match (self.hidden, weights.output) {
            (Some(h), Some((output, bias))) => {
                weights.state.dims() == [x, h] && output.dims() == [h, 2 * x] && bias.dims() == [2 * x]
            }
            (None, None) => weights.state.dims() == [x, x],
            _ => false,
        };
        if let &[b, s, t, columns] = noise.dims() {
            let fits_initial = initial.dims() == [x] || initial.dims() == [b, s, x];
            let fits_context = context.dims() == [b, t, c] && columns == x && b > 0 && s > 0 && t > 0;
            if fits_weights && fits_initial && fits_context {
                let hidden = self.hidden;
                return Ok(Sizes { b, s, t, x, hidden });
            }
        }
        Err(Error::Other(format!(
            "a Gaussian recursion of {x} dimensions and hidden layer {:?} expects a context [B, T, {c}], an initial state \
             [{x}] or [B, S, {x}], noise [B, S, T, {x}], none of them empty, and its own weights; got {:?}, {:?}, {:?}, \
             weights {:?} and {:?}",
            self.hidden,
            context.dims(),
            initial.dims(),
            noise.dims(),
            weights.state.dims(),
            weights.output.map(|(output, bias)| (output.dims(), bias.dims()))
        )))
    }
}
