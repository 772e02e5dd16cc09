//! All dense layers of a perceptron in one operation: `h_0 = x`, `h_{i+1} = f(h_i W_i + b_i)`, the last layer linear.
//!
//! Backward, from `d_n = ∂L/∂out`, layer by layer: `∂L/∂b_i = Σ_rows d_{i+1}`, `∂L/∂W_i = h_iᵀ d_{i+1}`, and
//! `d_i = (d_{i+1} W_iᵀ) f'(h_i)`. The operation stores the hidden values of the forward pass for the first backward
//! pass, which consumes them; another pass computes them again.
//!
//! Arguments in candle's sense are `x` and the last bias only: the other gradients go straight to
//! [`super::backward()`].

use super::activation::{add_bias_and_activate, backpropagate_activation, sum_columns};
use super::arguments::Saturation;
use super::float::{Float, elements, with_elements, with_float};
use super::gradients::hand_over;
use super::matmul::{Matrix, product};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Shape, Tensor, WithDType};
use std::sync::Mutex;

/// The parameters of the layers, all of them variables, and the values between them.
pub(crate) struct Layers {
    weights: Vec<Tensor>, // of each layer [I, O]
    biases: Vec<Tensor>,  // of each layer but the last [O]
    f: Saturation,
    hidden: Mutex<Option<Vec<CpuStorage>>>, // of each layer but the last [B, O]
}

impl Layers {
    /// Layers of these parameters; the last bias is the operation's second argument.
    pub(crate) fn new(weights: Vec<Tensor>, biases: Vec<Tensor>, f: Saturation) -> Self {
        assert_eq!(weights.len(), biases.len() + 1);
        Self {
            weights,
            biases,
            f,
            hidden: Mutex::new(None),
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Vec<CpuStorage>>> {
        self.hidden.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The values of the first `bias.len()` layers, from `x` `[B, I]`.
    fn hidden<T: Float>(&self, x: &[T], rows: usize) -> candle_core::Result<Vec<Vec<T>>> {
        let mut values: Vec<Vec<T>> = Vec::with_capacity(self.biases.len());
        for (weight, bias) in self.weights.iter().zip(&self.biases) {
            let h = values.last().map_or(x, Vec::as_slice);
            let h = with_elements(bias, |bias| layer(h, rows, weight, bias, self.f))?;
            values.push(h);
        }
        Ok(values)
    }
}

/// `f(x W + b)`: `[B, O]`.
fn layer<T: Float>(x: &[T], rows: usize, weight: &Tensor, bias: &[T], f: Saturation) -> candle_core::Result<Vec<T>> {
    let (inputs, outputs) = weight.dims2()?;
    let x = Matrix::new(x, rows, inputs);
    let mut out = with_elements(weight, |w| Ok(product(x, Matrix::new(w, inputs, outputs))))?;
    add_bias_and_activate(&mut out, bias, f);
    Ok(out)
}

impl CustomOp2 for Layers {
    fn name(&self) -> &'static str {
        "perceptron"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let rows = x_layout.shape().dim(0)?;
        let last = &self.weights[self.biases.len()];
        with_float!(x.dtype(), self.name(), T => {
            let (x, bias) = (elements::<T>(x, x_layout)?, elements::<T>(bias, bias_layout)?);
            let hidden = self.hidden(x, rows)?;
            let h = hidden.last().map_or(x, Vec::as_slice);
            let out = layer(h, rows, last, bias, Saturation::Identity)?;
            *self.kept() = Some(hidden.into_iter().map(T::to_cpu_storage_owned).collect());
            Ok((T::to_cpu_storage_owned(out), (rows, bias.len()).into()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let (g, rows) = (g.contiguous()?, x.dim(0)?);
        let kept = self.kept().take();
        let mut gradients = Vec::with_capacity(self.weights.len() + self.biases.len());
        with_float!(x.dtype(), self.name(), T => {
            with_elements::<T, _>(x, |values| with_elements::<T, _>(&g, |g| {
                let mut hidden = match kept {
                    Some(kept) => kept.into_iter().map(T::cpu_storage_data).collect::<candle_core::Result<_>>()?,
                    None => self.hidden(values, rows)?,
                };
                let shaped = |numbers, of: &Tensor| Tensor::from_vec(numbers, of.shape(), of.device());
                let last = shaped(sum_columns(g, bias.elem_count()), bias)?;
                let mut gradient: Option<Vec<T>> = None; // d_{i+1} [B, O], `g` at first
                for (i, weight) in self.weights.iter().enumerate().rev() {
                    let (inputs, outputs) = weight.dims2()?;
                    let d = Matrix::new(gradient.as_deref().unwrap_or(g), rows, outputs);
                    let h = hidden.pop();
                    let input = Matrix::new(h.as_deref().unwrap_or(values), rows, inputs);
                    gradients.push((weight.clone(), shaped(product(input.transposed(), d), weight)?));
                    if h.is_none() && !x.track_op() {
                        break;
                    }
                    let back = |w: &[T]| Ok(product(d, Matrix::new(w, inputs, outputs).transposed()));
                    let mut next = with_elements(weight, back)?; // [B, I]
                    if let Some(h) = h {
                        let mut sums = vec![T::of(0.0); inputs];
                        backpropagate_activation(&mut next, &mut sums, &h, self.f);
                        let bias = &self.biases[i - 1];
                        gradients.push((bias.clone(), shaped(sums, bias)?));
                    }
                    gradient = Some(next);
                }
                hand_over(gradients)?;
                let dx = gradient.filter(|_| x.track_op()).map(|gradient| shaped(gradient, x)).transpose()?;
                Ok((dx, Some(last)))
            }))
        })
    }
}
