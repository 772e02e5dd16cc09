//! The log joint of a conditional Gaussian mixture, the whole upper end of a mixture density network in one operation.
//!
//! `log p(z = k, y) = log_softmax(logits)_k + log N(y; μ_k, Σ_k)`, `[B, K]`, for `y` `[B, D]` (Bishop 1994). The numbers of
//! a component come from [`Head`]s, columns of one, two or three tensors with `B` rows, or with one row shared by all.
//!
//! A deviation is `floor + exp(raw)`, raw held within ±80. Full covariances are modified Cholesky factors (Pourahmadi
//! 1999): with `e = y - μ` and `L` strictly lower triangular, the innovations `u_i = (e_i + Σ_{j<i} L_ij e_j) / σ_i` are
//! independent and standard normal, so `log N = Σ_i (-u_i²/2 - ln σ_i) - D/2 ln 2π` needs no matrix algebra at all, and
//! any raw numbers give a lawful covariance.
//!
//! `y` is data: no gradient reaches it. Where the incoming gradient of a component is 0 (its responsibility vanished), so
//! are its outgoing ones, however extreme its numbers.

use super::composed;
use super::float::{elements, with_elements, with_float};
use super::mixture_kernel::{Columns, backward, forward};
use crate::{Error, Result};
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Shape, Tensor, WithDType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the covariance of a component, given the condition, may look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConditionalCovariance {
    /// One deviation for all dimensions.
    Spherical,
    /// One deviation per dimension.
    #[default]
    Diagonal,
    /// Any covariance matrix, by its modified Cholesky factor.
    Full,
}

impl ConditionalCovariance {
    /// How many raw numbers one component of dimension `dimension` takes: 1, D, or D + D(D-1)/2.
    pub fn raw_count(self, dimension: usize) -> usize {
        match self {
            Self::Spherical => 1,
            Self::Diagonal => dimension,
            Self::Full => dimension + dimension * dimension.saturating_sub(1) / 2,
        }
    }
}

/// The sizes of a mixture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MixtureShape {
    /// K, the number of components.
    pub components: usize,
    /// D, the dimension of `y`.
    pub dimension: usize,
    /// The form of each component's covariance.
    pub covariance: ConditionalCovariance,
    /// The smallest deviation, in the units of `y`.
    pub deviation_floor: f64,
}

impl MixtureShape {
    /// Columns of a tensor that holds logits, means and scales side by side, in this order.
    pub fn columns(&self) -> usize {
        self.components * (1 + self.dimension + self.covariance.raw_count(self.dimension))
    }

    /// Columns of the logits, means and scales.
    fn widths(&self) -> [usize; 3] {
        let k = self.components;
        [k, k * self.dimension, k * self.covariance.raw_count(self.dimension)]
    }
}

/// Some columns of a tensor that hold one kind of a mixture's numbers.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// `[B, P]`, or `[1, P]` for numbers shared by all rows.
    pub values: &'a Tensor,
    /// The first column.
    pub offset: usize,
}

/// `log_softmax(logits)_k + log N(y; mean_k, scale_k)`: `[B, K]`, in nats.
///
/// `y` `[B, D]`; `logits` `K` columns; `means` `K D`, component by component; `scales` `K F`, component by component, with
/// `F = 1`, `D`, or `D` raw deviations followed by the `D(D-1)/2` rows of the strict lower triangle.
pub fn mixture_log_joint(y: &Tensor, logits: Head, means: Head, scales: Head, shape: &MixtureShape) -> Result<Tensor> {
    check(y, [logits, means, scales], shape)?;
    if composed::wanted(y) {
        return composed::mixture_log_joint(y, logits, means, scales, shape);
    }
    let mut tensors: Vec<&Tensor> = Vec::with_capacity(3);
    let heads = [logits, means, scales].map(|head| {
        let known = tensors.iter().position(|tensor| tensor.id() == head.values.id());
        let argument = known.unwrap_or_else(|| {
            tensors.push(head.values);
            tensors.len() - 1
        });
        Place {
            argument,
            offset: head.offset,
        }
    });
    let operation = LogJoint {
        y: y.contiguous()?.detach(),
        heads,
        shape: *shape,
    };
    let first = tensors[0].contiguous()?;
    let joint = match tensors[1..] {
        [] => first.apply_op1(operation)?,
        [second] => first.apply_op2(&second.contiguous()?, operation)?,
        [second, third, ..] => first.apply_op3(&second.contiguous()?, &third.contiguous()?, operation)?,
    };
    Ok(joint) // [B, K]
}

/// The two terms of the log joint: `log p(z = k)` `[B, K]` or `[1, K]`, and `log p(y | z = k)` `[B, K]`, of plain tensor
/// operations, on any device.
pub fn mixture_terms(
    y: &Tensor,
    logits: Head,
    means: Head,
    scales: Head,
    shape: &MixtureShape,
) -> Result<(Tensor, Tensor)> {
    check(y, [logits, means, scales], shape)?;
    composed::mixture_terms(y, logits, means, scales, shape)
}

fn check(y: &Tensor, heads: [Head; 3], shape: &MixtureShape) -> Result<()> {
    let fault = |text: String| Err(Error::Other(text));
    if shape.components == 0 || shape.dimension == 0 {
        return fault(format!(
            "a mixture expects at least one component and dimension, got {shape:?}"
        ));
    }
    let &[rows, dimension] = y.dims() else {
        return fault(format!("a mixture expects y [B, D], got {:?}", y.dims()));
    };
    if dimension != shape.dimension {
        return fault(format!(
            "a mixture of dimension {} got y {:?}",
            shape.dimension,
            y.dims()
        ));
    }
    for ((head, width), name) in heads.iter().zip(shape.widths()).zip(["logits", "means", "scales"]) {
        let fits = match *head.values.dims() {
            [r, p] => (r == rows || r == 1) && head.offset + width <= p,
            _ => false,
        };
        if !fits {
            return fault(format!(
                "{name} expect columns {}..{} of a tensor with {rows} rows or 1, got {:?}",
                head.offset,
                head.offset + width,
                head.values.dims()
            ));
        }
    }
    Ok(())
}

/// Where a head's columns are: which argument of the operation, from which column.
#[derive(Debug, Clone, Copy)]
struct Place {
    argument: usize,
    offset: usize,
}

struct LogJoint {
    y: Tensor, // [B, D]
    heads: [Place; 3],
    shape: MixtureShape,
}

impl LogJoint {
    fn columns<'a, T>(&self, arguments: &[(&'a [T], &[usize])]) -> [Columns<'a, T>; 3] {
        let rows = self.y.dims()[0];
        self.heads.map(|place| {
            let (data, dims) = arguments[place.argument];
            Columns {
                data,
                width: dims[1],
                offset: place.offset,
                broadcast: dims[0] != rows,
            }
        })
    }

    fn forward(&self, arguments: &[(&CpuStorage, &Layout)]) -> candle_core::Result<(CpuStorage, Shape)> {
        let shape = (self.y.dim(0)?, self.shape.components);
        with_float!(self.y.dtype(), "mixture_log_joint", T => {
            let arguments = arguments
                .iter()
                .map(|(storage, layout)| Ok((elements::<T>(storage, layout)?, layout.dims())))
                .collect::<candle_core::Result<Vec<_>>>()?;
            let mut out = vec![T::from_f64(0.0); shape.0 * shape.1];
            with_elements::<T, _>(&self.y, |y| {
                forward(y, self.columns(&arguments), &self.shape, &mut out);
                Ok(())
            })?;
            Ok((T::to_cpu_storage_owned(out), shape.into()))
        })
    }

    fn backward(&self, arguments: &[&Tensor], g: &Tensor) -> candle_core::Result<[Option<Tensor>; 3]> {
        let g = g.contiguous()?;
        let guards: Vec<_> = arguments.iter().map(|tensor| tensor.storage_and_layout()).collect();
        with_float!(self.y.dtype(), "mixture_log_joint", T => {
            let mut slices = Vec::with_capacity(3);
            for (storage, layout) in &guards {
                match &**storage {
                    candle_core::Storage::Cpu(storage) => slices.push((elements::<T>(storage, layout)?, layout.dims())),
                    _ => candle_core::bail!("mixture_log_joint expects tensors on the CPU"),
                }
            }
            let mut slopes: Vec<Vec<T>> = slices.iter().map(|(data, _)| vec![T::from_f64(0.0); data.len()]).collect();
            with_elements::<T, _>(&self.y, |y| with_elements::<T, _>(&g, |g| {
                backward(y, self.columns(&slices), &self.shape, g, &mut slopes, self.heads.map(|place| place.argument));
                Ok(())
            }))?;
            let mut gradients = [None, None, None];
            for ((gradient, slope), tensor) in gradients.iter_mut().zip(slopes).zip(arguments) {
                if tensor.track_op() {
                    *gradient = Some(Tensor::from_vec(slope, tensor.shape(), tensor.device())?);
                }
            }
            Ok(gradients)
        })
    }
}

impl CustomOp1 for LogJoint {
    fn name(&self) -> &'static str {
        "mixture_log_joint"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        self.forward(&[(s, l)])
    }

    fn bwd(&self, a: &Tensor, _: &Tensor, g: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let [a, ..] = self.backward(&[a], g)?;
        Ok(a)
    }
}

impl CustomOp2 for LogJoint {
    fn name(&self) -> &'static str {
        "mixture_log_joint"
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

impl CustomOp3 for LogJoint {
    fn name(&self) -> &'static str {
        "mixture_log_joint"
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
