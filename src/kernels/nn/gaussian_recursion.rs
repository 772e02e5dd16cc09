//! Paths of a Gaussian recursion through which gradients flow: the samples of a filtering or smoothing posterior given a
//! context per step, or of the roll-outs of a transition (reparameterised as in Kingma & Welling 2014; over time as in
//! Krishnan et al. 2017).
//!
//! For t = 1, ..., T, with `x_0`, the contexts `c_t` and `d_t` and the noise `ε_t` given:
//!
//! ```text
//! h_t = f(x_{t-1} W + c_t)
//! (mean_t, raw_t) = h_t V + x_{t-1} A + d_t
//! σ_t = floor + exp(raw_t)                       raw numbers clamped to ±80
//! x_t = mean_t + σ_t ε_t
//! log q_t = Σ_d [-ε_td²/2 - ln σ_td] - X/2 ln 2π
//! ```
//!
//! Without a hidden layer, `h_t V` and `c_t` are absent. A is a linear layer beside the hidden one; the identity in its
//! columns of the mean makes the recursion residual.

use super::arguments::Activation;
use super::gaussian_recursion_operation::{Recursion, Sizes};
use super::{composed, composed_sequences, dense};
use crate::{Error, Result};
use candle_core::{D, Tensor};

/// The network of a step of a recursion, before its contexts are known: what multiplies the state before, and what
/// multiplies everything else that a step is given.
#[derive(Debug, Clone)]
pub struct RecursionNetwork {
    /// The hidden layer, if there is one.
    pub hidden: Option<RecursionLayer>,
    /// A. `[X, 2X]`
    pub direct: Tensor,
    /// From what a step is given beside the state before it to `c_t` and `d_t`, side by side; none if it is given nothing.
    /// `[I, H + 2X]`
    pub given: Option<Tensor>,
    /// What is added to them. `[H + 2X]`
    pub bias: Tensor,
}

/// The hidden layer of a recursion.
#[derive(Debug, Clone)]
pub struct RecursionLayer {
    /// W. `[X, H]`
    pub state: Tensor,
    /// f.
    pub activation: Activation,
    /// V, to the means and then to the raw numbers. `[H, 2X]`
    pub output: Tensor,
}

/// A Gaussian recursion of the sequences of a batch.
#[derive(Debug, Clone)]
pub struct GaussianRecursion {
    /// The hidden layer, if there is one.
    pub hidden: Option<RecursionLayer>,
    /// A. `[X, 2X]`
    pub direct: Tensor,
    /// `c_t` and `d_t`, side by side. `[B, T, H + 2X]`
    pub context: Tensor,
    /// The smallest standard deviation, in the units of the states.
    pub floor: f64,
}

/// Samples of a recursion for t = 1, ..., T.
#[derive(Debug, Clone)]
pub struct GaussianPaths {
    /// `x_t`. `[B·S, T, X]`
    pub states: Tensor,
    /// log q of each state given the one before, in nats. `[B·S, T]`
    pub log_densities: Tensor,
}

impl RecursionNetwork {
    /// The recursion of B sequences of T steps, which are given these numbers `[B, T, I]`, if any.
    ///
    /// # Errors
    /// If sizes disagree.
    pub fn recursion(&self, given: Option<&Tensor>, (b, t): (usize, usize), floor: f64) -> Result<GaussianRecursion> {
        let columns = self.bias.dim(0)?;
        let context = match (given, &self.given) {
            (Some(given), Some(weight)) => dense(
                &given.contiguous()?.flatten_to(1)?,
                weight,
                &self.bias,
                Activation::Identity,
            )?,
            (None, None) => self.bias.broadcast_as((b * t, columns))?,
            _ => {
                return Err(Error::Other(
                    "a recursion is given numbers, and has weights for none, or the reverse".into(),
                ));
            }
        };
        Ok(GaussianRecursion {
            hidden: self.hidden.clone(),
            direct: self.direct.clone(),
            context: context.reshape((b, t, columns))?,
            floor,
        })
    }
}

impl GaussianRecursion {
    /// S paths for each of B sequences: `initial` `[B·S, X]`, `noise` `[T, B·S, X]`, standard normal. The noise is a
    /// constant; gradients reach everything else. Rows are ordered by sequence, then by sample.
    ///
    /// # Errors
    /// If sizes disagree.
    pub fn paths(&self, initial: &Tensor, noise: &Tensor) -> Result<GaussianPaths> {
        let sizes = self.sizes(initial, noise)?;
        let noise = noise.detach().contiguous()?;
        let f = match &self.hidden {
            Some(layer) => layer.activation.saturation(),
            None => Activation::Identity.saturation(),
        };
        let Some(f) = f.filter(|_| !composed::wanted(initial)) else {
            return composed_sequences::gaussian_recursion(self, initial, &noise);
        };
        let weights = match &self.hidden {
            Some(layer) => Tensor::cat(
                &[
                    layer.state.flatten_all()?,
                    layer.output.flatten_all()?,
                    self.direct.flatten_all()?,
                ],
                0,
            )?,
            None => self.direct.flatten_all()?,
        };
        let (rows, Sizes { t, x, .. }) = (sizes.rows(), sizes);
        let recursion = Recursion::new(sizes, f, self.floor, noise);
        let context = self.context.contiguous()?;
        let all = context.apply_op3(&initial.contiguous()?, &weights.contiguous()?, recursion)?; // [R T (X + 1)]
        Ok(GaussianPaths {
            states: all.narrow(0, 0, rows * t * x)?.reshape((rows, t, x))?,
            log_densities: all.narrow(0, rows * t * x, rows * t)?.reshape((rows, t))?,
        })
    }

    fn sizes(&self, initial: &Tensor, noise: &Tensor) -> Result<Sizes> {
        let x = initial.dim(D::Minus1)?;
        let hidden = self
            .hidden
            .as_ref()
            .map_or(0, |layer| layer.state.dims().last().copied().unwrap_or(0));
        let fits_layer = self.hidden.as_ref().is_none_or(|layer| {
            hidden > 0 && layer.state.dims() == [x, hidden] && layer.output.dims() == [hidden, 2 * x]
        });
        if let (&[b, t, c], &[steps, rows, columns]) = (self.context.dims(), noise.dims()) {
            let fits = fits_layer
                && self.direct.dims() == [x, 2 * x]
                && c == hidden + 2 * x
                && initial.dims() == [rows, x]
                && (steps, columns) == (t, x)
                && b * t * x > 0
                && rows > 0
                && rows % b == 0;
            if fits {
                let s = rows / b;
                return Ok(Sizes { b, s, t, x, hidden });
            }
        }
        let layer = self.hidden.as_ref();
        Err(Error::Other(format!(
            "a Gaussian recursion expects a context [B, T, H + 2X], an initial state [B·S, X], noise [T, B·S, X], none of \
             them empty, and weights [X, H], [H, 2X] and [X, 2X]; got {:?}, {:?}, {:?}, weights {:?} and {:?}",
            self.context.dims(),
            initial.dims(),
            noise.dims(),
            layer.map(|layer| (layer.state.dims(), layer.output.dims())),
            self.direct.dims(),
        )))
    }
}
