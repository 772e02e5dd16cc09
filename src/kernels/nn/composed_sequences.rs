//! Composed references of the operations over sequences, step by step; see [`super::composed`].

use super::composed::{activated, deviation};
use super::{Direction, GaussianPaths, GaussianRecursion};
use crate::Result;
use crate::math::LN_2PI;
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

/// [`GaussianRecursion::paths`].
pub(crate) fn gaussian_recursion(
    recursion: &GaussianRecursion,
    initial: &Tensor,
    noise: &Tensor,
) -> Result<GaussianPaths> {
    let (t, rows, x) = noise.dims3()?;
    let (b, columns) = (recursion.context.dim(0)?, recursion.context.dim(2)?);
    let h = columns - 2 * x;
    let mut state = initial.clone(); // [R, X]
    let (mut states, mut log_densities) = (Vec::new(), Vec::new());
    for step in 0..t {
        let context = at(&recursion.context, step)?.unsqueeze(1)?; // [B, 1, H + 2X]
        let context = context.broadcast_as((b, rows / b, columns))?.reshape((rows, columns))?;
        let mut output = (context.narrow(1, h, 2 * x)? + state.matmul(&recursion.direct)?)?; // [R, 2X]
        if let Some(layer) = &recursion.hidden {
            let hidden = activated(
                &(context.narrow(1, 0, h)? + state.matmul(&layer.state)?)?,
                layer.activation,
            )?;
            output = (output + hidden.matmul(&layer.output)?)?;
        }
        let (mean, raw) = (output.narrow(1, 0, x)?, output.narrow(1, x, x)?);
        let sigma = deviation(&raw, recursion.floor)?;
        let noise = at(&noise.transpose(0, 1)?, step)?;
        state = (mean + (&sigma * &noise)?)?;
        let terms = ((noise.sqr()? * -0.5)? - sigma.log()?)?;
        log_densities.push((terms.sum(1)? - 0.5 * x as f64 * LN_2PI)?);
        states.push(state.clone());
    }
    Ok(GaussianPaths {
        states: Tensor::stack(&states, 1)?,
        log_densities: Tensor::stack(&log_densities, 1)?,
    })
}
