//! Composed references of the operations over sequences, step by step; see [`super::composed`].

use super::composed::deviation;
use super::{Direction, GaussianPaths, RecursionWeights};
use crate::Result;
use candle_core::Tensor;
use candle_nn::ops::sigmoid;

/// Step `t` of `x` `[B, T, ..]`: `[B, ..]`.
fn at(x: &Tensor, t: usize) -> Result<Tensor> {
    Ok(x.narrow(1, t, 1)?.squeeze(1)?)
}

/// [`super::GatedRecurrent::sweep`]; `weights` are input weight and bias, recurrent weight and bias.
pub(crate) fn gated_recurrent(
    inputs: &Tensor,
    initial: &Tensor,
    lengths: Option<&[usize]>,
    direction: Direction,
    weights: [&Tensor; 4],
) -> Result<Tensor> {
    let [input_weight, input_bias, recurrent_weight, recurrent_bias] = weights;
    let ((b, t, _), h) = (inputs.dims3()?, recurrent_bias.dim(0)?);
    // [B, T, 1]: 1 at the steps of a sequence, 0 at padding
    let real = lengths.map(|lengths| {
        let steps = lengths
            .iter()
            .flat_map(|&length| (0..t).map(move |step| u8::from(step < length)));
        Tensor::from_iter(steps, inputs.device())?.reshape((b, t, 1))
    });
    let real = real.transpose()?;
    let inputs = match &real {
        Some(real) => real
            .broadcast_as(inputs.shape())?
            .where_cond(inputs, &inputs.zeros_like()?)?,
        None => inputs.clone(),
    };
    let inputs = inputs.broadcast_matmul(input_weight)?.broadcast_add(input_bias)?; // [B, T, 3H]
    let mut state = initial.clone(); // [B, H]
    let mut states = vec![state.clone(); t];
    for visit in 0..t {
        let step = direction.step(visit, t);
        let (x, u) = (at(&inputs, step)?, state.matmul(recurrent_weight)?); // [B, 3H]
        let gate = |k: usize| -> Result<Tensor> { Ok(sigmoid(&(x.narrow(1, k * h, h)? + u.narrow(1, k * h, h)?)?)?) };
        let (reset, update) = (gate(0)?, gate(1)?);
        let recurrent = u.narrow(1, 2 * h, h)?.broadcast_add(recurrent_bias)?;
        let candidate = (x.narrow(1, 2 * h, h)? + (reset * recurrent)?)?.tanh()?;
        let next = (&candidate + (update * (&state - &candidate)?)?)?;
        state = match &real {
            Some(real) => at(real, step)?.broadcast_as((b, h))?.where_cond(&next, &state)?,
            None => next,
        };
        states[step] = state.clone();
    }
    Ok(Tensor::stack(&states, 1)?) // [B, T, H]
}

/// [`super::GaussianRecursion::paths`]; `form` says whether the recursion is residual, and its floor.
pub(crate) fn gaussian_recursion(
    weights: &RecursionWeights,
    context: &Tensor,
    initial: &Tensor,
    noise: &Tensor,
    form: (bool, f64),
) -> Result<GaussianPaths> {
    let ((b, s, t, x), (is_residual, floor)) = (noise.dims4()?, form);
    let mut state = initial.reshape((b * s, x))?; // [B S, X]
    let (mut states, mut means, mut deviations) = (Vec::new(), Vec::new(), Vec::new());
    for step in 0..t {
        let c = at(context, step)?.unsqueeze(1)?; // [B, 1, C]
        let shared = |x: &Tensor, c: &Tensor| -> Result<Tensor> {
            let columns = c.dim(2)?;
            Ok(x.reshape((b, s, columns))?
                .broadcast_add(c)?
                .reshape((b * s, columns))?)
        };
        let by_state = state.matmul(weights.state)?; // [B S, H] or [B S, X]
        let (mean, raw) = match weights.output {
            Some((output, bias)) => {
                let out = shared(&by_state, &c)?.tanh()?.matmul(output)?.broadcast_add(bias)?; // [B S, 2X]
                (out.narrow(1, 0, x)?, out.narrow(1, x, x)?)
            }
            None => {
                let raw = c.narrow(2, x, x)?;
                (
                    shared(&by_state, &c.narrow(2, 0, x)?)?,
                    shared(&by_state.zeros_like()?, &raw)?,
                )
            }
        };
        let mean = if is_residual { (mean + &state)? } else { mean };
        let sigma = deviation(&raw, floor)?;
        let noise = noise.narrow(2, step, 1)?.reshape((b * s, x))?;
        state = (&mean + (&sigma * noise)?)?;
        for (all, one) in [(&mut states, &state), (&mut means, &mean), (&mut deviations, &sigma)] {
            all.push(one.reshape((b, s, x))?);
        }
    }
    Ok(GaussianPaths {
        states: Tensor::stack(&states, 2)?,
        means: Tensor::stack(&means, 2)?,
        deviations: Tensor::stack(&deviations, 2)?,
    })
}
