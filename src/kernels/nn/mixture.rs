//! The log joint of a conditional Gaussian mixture, the output stage of a mixture density network in one operation.
//!
//! `log p(z = k, y) = log_softmax(logits)_k + log N(y; μ_k, Σ_k)`, `[B, K]`, for `y` `[B, D]` (Bishop 1994). The
//! numbers of a component come from [`Head`]s, columns of one, two or three tensors with `B` rows, or with one row
//! shared by all.
//!
//! A standard deviation is `floor + exp(raw)`, raw clamped to ±80. Full covariances are modified Cholesky factors
//! (Pourahmadi 1999): with `e = y - μ` and `L` strictly lower triangular, the innovations
//! `u_i = (e_i + Σ_{j<i} L_ij e_j) / σ_i` are independent and standard normal. So
//! `log N = Σ_i (-u_i²/2 - ln σ_i) - D/2 ln 2π` needs no matrix algebra, and any raw numbers give a valid covariance.
//!
//! `y` is data: no gradient reaches it. If the incoming gradient of a component is 0 (zero responsibility), its
//! outgoing gradients are 0, however extreme its parameters.

use super::arguments::{Head, MixtureShape};
use super::composed;
use super::log_sum_exp::log_softmax;
use super::mixture_operation::{Operation, Place, Quantity};
use crate::{Error, Result};
use candle_core::Tensor;

/// `log_softmax(logits)_k + log N(y; mean_k, scale_k)`: `[B, K]`, in nats.
///
/// `y` `[B, D]`; `logits` `K` columns; `means` `K D`, component by component; `scales` `K F`, component by component,
/// with `F = 1`, `D`, or `D` raw standard deviations followed by the `D(D-1)/2` rows of the strict lower triangle.
pub fn mixture_log_joint(y: &Tensor, logits: Head, means: Head, scales: Head, shape: &MixtureShape) -> Result<Tensor> {
    check(y, [logits, means, scales], shape)?;
    if composed::wanted(y) {
        return composed::mixture_log_joint(y, logits, means, scales, shape);
    }
    apply(y, [logits, means, scales], shape, Quantity::LogJoint) // [B, K]
}

/// `log p(y) = log Σ_k p(z = k, y)`: `[B]`, in nats, of the same arguments as [`mixture_log_joint`].
///
/// Values and gradients are computed in one pass over the arguments.
pub fn mixture_log_prob(y: &Tensor, logits: Head, means: Head, scales: Head, shape: &MixtureShape) -> Result<Tensor> {
    check(y, [logits, means, scales], shape)?;
    if composed::wanted(y) {
        return composed::log_sum_exp(&composed::mixture_log_joint(y, logits, means, scales, shape)?);
    }
    apply(y, [logits, means, scales], shape, Quantity::LogProb) // [B]
}

/// The two terms of the log joint: `log p(z = k)` `[B, K]` or `[1, K]`, and `log p(y | z = k)` `[B, K]`.
pub fn mixture_terms(
    y: &Tensor,
    logits: Head,
    means: Head,
    scales: Head,
    shape: &MixtureShape,
) -> Result<(Tensor, Tensor)> {
    check(y, [logits, means, scales], shape)?;
    if composed::wanted(y) {
        return composed::mixture_terms(y, logits, means, scales, shape);
    }
    let prior = log_softmax(&logits.values.narrow(1, logits.offset, shape.components)?)?;
    let likelihood = apply(y, [logits, means, scales], shape, Quantity::LogLikelihood)?;
    Ok((prior, likelihood))
}

/// The mean `Σ_k p(z = k) μ_k` of the mixture of every row of `y` `[B, D]`, whose values are not used: `[B, D]`.
pub fn mixture_mean(y: &Tensor, logits: Head, means: Head, scales: Head, shape: &MixtureShape) -> Result<Tensor> {
    check(y, [logits, means, scales], shape)?;
    if composed::wanted(y) {
        return composed::mixture_mean(y.dim(0)?, logits, means, shape);
    }
    apply(y, [logits, means, scales], shape, Quantity::Mean)
}

/// The fused `quantity`; heads in the same tensor are one argument.
fn apply(y: &Tensor, heads: [Head; 3], shape: &MixtureShape, quantity: Quantity) -> Result<Tensor> {
    let mut tensors: Vec<&Tensor> = Vec::with_capacity(3);
    let heads = heads.map(|head| {
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
    let tracked = tensors.iter().any(|tensor| tensor.track_op());
    let operation = Operation::new(y.contiguous()?.detach(), heads, *shape, quantity, tracked);
    let first = tensors[0].contiguous()?;
    Ok(match tensors[1..] {
        [] => first.apply_op1(operation)?,
        [second] => first.apply_op2(&second.contiguous()?, operation)?,
        [second, third, ..] => first.apply_op3(&second.contiguous()?, &third.contiguous()?, operation)?,
    })
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
