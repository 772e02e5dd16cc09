//! A dense layer: `f(x W + b)`, with `x` `[B, I]`, `W` `[I, O]`, `b` `[O]`, result `[B, O]`.
//!
//! Forward is one matrix product, then one pass that adds the bias and applies `f`. Backward, from `g = ∂L/∂out`, is
//! one pass for `d = g f'` and `∂L/∂b = Σ_rows d`, then `∂L/∂W = xᵀ d` and `∂L/∂x = d Wᵀ`; the last is left out where
//! `x` is data, which no gradient reaches.

use super::activation::{add_bias_and_activate, backpropagate_activation, silu};
use super::arguments::{Activation, Saturation};
use super::composed;
use super::float::{Float, elements, with_elements, with_float};
use super::matmul::{Matrix, product};
use crate::{Error, Result};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, Layout, Shape, Tensor, WithDType};

/// `activation(x weight + bias)`: `[B, I] [I, O] + [O] -> [B, O]`.
pub fn dense(x: &Tensor, weight: &Tensor, bias: &Tensor, activation: Activation) -> Result<Tensor> {
    let fits = match (x.dims(), weight.dims(), bias.dims()) {
        (&[_, inputs], &[rows, columns], &[outputs]) => inputs == rows && columns == outputs,
        _ => false,
    };
    if !fits {
        return Err(Error::Other(format!(
            "a dense layer expects x [B, I], weight [I, O], bias [O]; got {:?}, {:?}, {:?}",
            x.dims(),
            weight.dims(),
            bias.dims()
        )));
    }
    if composed::wanted(x) {
        return composed::dense(x, weight, bias, activation);
    }
    let f = activation.saturation();
    let out = x.contiguous()?.apply_op3(
        &weight.contiguous()?,
        &bias.contiguous()?,
        Dense(f.unwrap_or(Saturation::Identity)),
    )?;
    match f {
        Some(_) => Ok(out), // [B, O]
        None => silu(&out),
    }
}

struct Dense(Saturation);

impl CustomOp3 for Dense {
    fn name(&self) -> &'static str {
        "dense"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (rows, inputs) = x_layout.shape().dims2()?;
        let outputs = b_layout.shape().dims1()?;
        with_float!(x.dtype(), self.name(), T => {
            let x = Matrix::new(elements::<T>(x, x_layout)?, rows, inputs);
            let w = Matrix::new(elements::<T>(w, w_layout)?, inputs, outputs);
            let mut out = product(x, w); // [B, O]
            add_bias_and_activate(&mut out, elements::<T>(b, b_layout)?, self.0);
            Ok((T::to_cpu_storage_owned(out), (rows, outputs).into()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        out: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let g = g.contiguous()?;
        let ((rows, inputs), outputs) = (x.dims2()?, b.dims1()?);
        with_float!(x.dtype(), self.name(), T => {
            let mut sums = vec![T::of(0.0); outputs]; // [O]
            let mut gradient = with_elements::<T, _>(&g, |g| Ok(g.to_vec()))?; // [B, O]
            with_elements::<T, _>(out, |out| {
                backpropagate_activation(&mut gradient, &mut sums, out, self.0);
                Ok(())
            })?;
            let gradient = Matrix::new(&gradient, rows, outputs);
            let dx = x.track_op().then(|| with_elements::<T, _>(w, |w| {
                Ok(product(gradient, Matrix::new(w, inputs, outputs).transposed())) // [B, I]
            }));
            let dw = w.track_op().then(|| with_elements::<T, _>(x, |x| {
                Ok(product(Matrix::new(x, rows, inputs).transposed(), gradient)) // [I, O]
            }));
            let tensor = |values: Option<candle_core::Result<Vec<T>>>, like: &Tensor| {
                values.map(|values| Tensor::from_vec(values?, like.shape(), like.device())).transpose()
            };
            Ok((tensor(dx, x)?, tensor(dw, w)?, tensor(b.track_op().then_some(Ok(sums)), b)?))
        })
    }
}
