//! The custom operation of [`super::mixture`]. Its arguments are one, two or three tensors that hold a mixture's heads;
//! its result is `[B, K]`, `[B]` or `[B, D]`.
//!
//! The log-density's gradient depends on the incoming gradient only by a factor per row. So it is computed together
//! with the value and stored in the operation for the first backward pass, which scales its rows. A second pass, or
//! heads that rows share, compute it again.

use super::arguments::MixtureShape;
use super::float::{Float, elements, with_elements, with_float};
use super::mixture_kernel::{Gradients, backward, forward, log_prob, mean, mean_backward, scale_rows};
use super::mixture_tile::Columns;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Shape, Tensor, WithDType};
use std::sync::Mutex;

/// Where a head's columns are: which argument of the operation, from which column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) argument: usize,
    pub(crate) offset: usize,
}

/// What to compute of a mixture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantity {
    /// `log p(z = k, y)`. `[B, K]`
    LogJoint,
    /// `log p(y | z = k)`. `[B, K]`
    LogLikelihood,
    /// `log p(y)`. `[B]`
    LogProb,
    /// `Σ_k p(z = k) μ_k`. `[B, D]`
    Mean,
}

pub(crate) struct Operation {
    y: Tensor, // [B, D]
    heads: [Place; 3],
    shape: MixtureShape,
    quantity: Quantity,
    tracked: bool,
    gradients: Mutex<Option<Vec<CpuStorage>>>, // of Σ_b log p(y_b), like the arguments
}

impl Operation {
    /// The `quantity` of the mixture whose numbers are at `heads`; `tracked` if gradients are needed.
    pub(crate) fn new(y: Tensor, heads: [Place; 3], shape: MixtureShape, quantity: Quantity, tracked: bool) -> Self {
        Self {
            y,
            heads,
            shape,
            quantity,
            tracked,
            gradients: Mutex::new(None),
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Vec<CpuStorage>>> {
        self.gradients.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn columns<'a, T>(&self, arguments: &[(&'a [T], &[usize])]) -> [Columns<'a, T>; 3] {
        let rows = self.y.dims()[0];
        self.heads.map(|place| {
            let (data, dims) = arguments[place.argument];
            Columns {
                argument: place.argument,
                data,
                width: dims[1],
                offset: place.offset,
                broadcast: dims[0] != rows,
            }
        })
    }

    fn forward(&self, arguments: &[(&CpuStorage, &Layout)]) -> candle_core::Result<(CpuStorage, Shape)> {
        let (rows, k) = (self.y.dim(0)?, self.shape.components);
        let out_shape: Shape = match self.quantity {
            Quantity::LogJoint | Quantity::LogLikelihood => (rows, k).into(),
            Quantity::LogProb => rows.into(),
            Quantity::Mean => (rows, self.shape.dimension).into(),
        };
        with_float!(self.y.dtype(), "mixture", T => {
            let arguments = arguments
                .iter()
                .map(|(storage, layout)| Ok((elements::<T>(storage, layout)?, layout.dims())))
                .collect::<candle_core::Result<Vec<_>>>()?;
            let heads = self.columns(&arguments);
            let own_rows = heads.iter().all(|head| !head.broadcast);
            let mut out = vec![T::of(0.0); out_shape.elem_count()];
            with_elements::<T, _>(&self.y, |y| {
                match self.quantity {
                    Quantity::LogJoint => forward(y, heads, &self.shape, true, &mut out),
                    Quantity::LogLikelihood => forward(y, heads, &self.shape, false, &mut out),
                    Quantity::LogProb if self.tracked && own_rows => {
                        let mut of = like(&arguments);
                        log_prob(y, heads, &self.shape, None, &mut out, Some(Gradients(&mut of)));
                        *self.kept() = Some(of.into_iter().map(T::to_cpu_storage_owned).collect());
                    }
                    Quantity::LogProb => log_prob(y, heads, &self.shape, None, &mut out, None),
                    Quantity::Mean => mean(y, heads, &self.shape, &mut out),
                }
                Ok(())
            })?;
            Ok((T::to_cpu_storage_owned(out), out_shape))
        })
    }

    fn backward(&self, arguments: &[&Tensor], g: &Tensor) -> candle_core::Result<[Option<Tensor>; 3]> {
        let g = g.contiguous()?;
        let guards: Vec<_> = arguments.iter().map(|tensor| tensor.storage_and_layout()).collect();
        let kept = self.kept().take();
        with_float!(self.y.dtype(), "mixture", T => {
            let mut slices = Vec::with_capacity(3);
            for (storage, layout) in &guards {
                match &**storage {
                    candle_core::Storage::Cpu(storage) => slices.push((elements::<T>(storage, layout)?, layout.dims())),
                    _ => candle_core::bail!("a fused mixture expects tensors on the CPU"),
                }
            }
            let gradients = with_elements::<T, _>(&self.y, |y| with_elements::<T, _>(&g, |g| {
                if let Some(kept) = kept {
                    let mut of = Vec::with_capacity(3);
                    for (gradient, (_, dims)) in kept.into_iter().zip(&slices) {
                        let mut gradient = T::cpu_storage_data(gradient)?;
                        scale_rows(&mut gradient, g, dims[1]);
                        of.push(gradient);
                    }
                    return Ok(of);
                }
                let mut of = like(&slices);
                let gradients = Gradients(&mut of);
                let heads = self.columns(&slices);
                match self.quantity {
                    Quantity::LogJoint => backward(y, heads, &self.shape, true, g, gradients),
                    Quantity::LogLikelihood => backward(y, heads, &self.shape, false, g, gradients),
                    Quantity::LogProb => {
                        let mut values = vec![T::of(0.0); g.len()];
                        log_prob(y, heads, &self.shape, Some(g), &mut values, Some(gradients));
                    }
                    Quantity::Mean => mean_backward(y, heads, &self.shape, g, gradients),
                }
                Ok(of)
            }))?;
            let mut asked = [None, None, None];
            for ((asked, gradient), tensor) in asked.iter_mut().zip(gradients).zip(arguments) {
                if tensor.track_op() {
                    *asked = Some(Tensor::from_vec(gradient, tensor.shape(), tensor.device())?);
                }
            }
            Ok(asked)
        })
    }
}

/// Zeros in the shapes of the arguments.
fn like<T: Float>(arguments: &[(&[T], &[usize])]) -> Vec<Vec<T>> {
    arguments.iter().map(|(data, _)| vec![T::zero(); data.len()]).collect()
}

impl CustomOp1 for Operation {
    fn name(&self) -> &'static str {
        "mixture"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        self.forward(&[(s, l)])
    }

    fn bwd(&self, a: &Tensor, _: &Tensor, g: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let [a, ..] = self.backward(&[a], g)?;
        Ok(a)
    }
}

impl CustomOp2 for Operation {
    fn name(&self) -> &'static str {
        "mixture"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        self.forward(&[(s1, l1), (s2, l2)])
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let [a, b, _] = self.backward(&[a, b], g)?;
        Ok((a, b))
    }
}

impl CustomOp3 for Operation {
    fn name(&self) -> &'static str {
        "mixture"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        self.forward(&[(s1, l1), (s2, l2), (s3, l3)])
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [a, b, c] = self.backward(&[a, b, c], g)?;
        Ok((a, b, c))
    }
}
