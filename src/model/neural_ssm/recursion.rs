//! Linear transitions and those with one hidden layer as recursions, whose states of all steps are one operation.

use super::emission::Moments;
use super::transition::{Function, TRANSITION, Transition};
use crate::Result;
use crate::model::{MeanNetwork, TransitionRecursion};
use crate::nn::{Activation, Parameters, RecursionLayer, RecursionNetwork};
use candle_core::{D, Tensor};

impl Moments {
    /// Rows `[N, D]` in units of these moments.
    pub fn standardized(&self, rows: &Tensor) -> Result<Tensor> {
        let row = |values: &[f64]| Tensor::new(values, rows.device())?.to_dtype(rows.dtype());
        let centred = rows.broadcast_sub(&row(&self.means)?)?;
        Ok(centred.broadcast_div(&row(&self.deviations)?)?)
    }
}

impl Transition {
    /// The mean as dense layers of the state and of inputs in the data's units, whose moments go into the first layer;
    /// none if it is another function.
    pub fn mean_network(&self, theta: &Parameters, inputs: &Moments) -> Result<Option<MeanNetwork>> {
        let x = self.states;
        match &self.function {
            Function::Linear { matrix, input, offset } => {
                let input = input.as_ref().map(|input| input.value(theta)).transpose()?;
                let parts = [Some(matrix.value(theta)?), input];
                let weight = Tensor::cat(&parts.into_iter().flatten().collect::<Vec<_>>(), D::Minus1)?;
                Ok(Some(MeanNetwork {
                    layers: vec![(weight.t()?.contiguous()?, offset.value(theta)?.flatten_all()?)],
                    activation: Activation::Identity,
                    is_residual: false,
                }))
            }
            Function::Perceptron { network, residual } => {
                let mut layers = Vec::new();
                for i in 0..network.layers() {
                    let (weight, bias) = network.layer(theta, TRANSITION, i)?;
                    layers.push((weight.clone(), bias.clone()));
                }
                if let Some((weight, bias)) = layers.first_mut()
                    && !inputs.means.is_empty()
                {
                    let row = |values: &[f64]| Tensor::new(values, weight.device())?.to_dtype(weight.dtype());
                    let of_inputs = weight.narrow(0, x, inputs.means.len())?; // [U, ·]
                    let scaled = of_inputs.broadcast_div(&row(&inputs.deviations)?.unsqueeze(1)?)?;
                    *bias = (&*bias - row(&inputs.means)?.unsqueeze(0)?.matmul(&scaled)?.squeeze(0)?)?;
                    *weight = Tensor::cat(&[&weight.narrow(0, 0, x)?, &scaled], 0)?;
                }
                if let Some((weight, bias)) = layers.last_mut() {
                    // Outputs beyond the means are raw standard deviations.
                    *weight = weight.narrow(1, 0, x)?.contiguous()?;
                    *bias = bias.narrow(0, 0, x)?;
                }
                Ok(Some(MeanNetwork {
                    layers,
                    activation: network.activation(),
                    is_residual: *residual,
                }))
            }
            _ => Ok(None),
        }
    }

    /// x_2 … x_{T+1} given x_1 and the inputs of B sequences, in the data's units and standardised `[B, T, U]`; none if the
    /// mean is another function.
    pub fn recursion(
        &self,
        theta: &Parameters,
        (inputs, standardized): (Option<&Tensor>, Option<&Tensor>),
        sizes: (usize, usize),
    ) -> Result<Option<TransitionRecursion>> {
        let x = self.states;
        let raw = self.raw.as_ref().map(|raw| raw.value(theta)).transpose()?; // [1, X]
        let zeros = |rows, columns| Tensor::zeros((rows, columns), theta.dtype(), &theta.device());
        // Outputs for the means alone get columns for the raw numbers.
        let both = |weight: Tensor| -> Result<Tensor> {
            Ok(match &raw {
                Some(_) => Tensor::cat(&[&weight, &zeros(weight.dim(0)?, x)?], 1)?,
                None => weight,
            })
        };
        let bias = |bias: Tensor| -> Result<Tensor> {
            Ok(match &raw {
                Some(raw) => Tensor::cat(&[bias, raw.flatten_all()?], 0)?,
                None => bias,
            })
        };
        let (network, given) = match &self.function {
            Function::Linear { matrix, input, offset } => {
                let turned = |matrix: Tensor| both(matrix.t()?.contiguous()?);
                let input = input.as_ref().map(|input| turned(input.value(theta)?)).transpose()?;
                let network = RecursionNetwork {
                    hidden: None,
                    direct: turned(matrix.value(theta)?)?,
                    given: input,
                    bias: bias(offset.value(theta)?.flatten_all()?)?,
                };
                (network, inputs)
            }
            Function::Perceptron { network, residual } if network.layers() <= 2 => {
                let (weight, first) = network.layer(theta, TRANSITION, 0)?; // [X + U, ·], [·]
                let state = weight.narrow(0, 0, x)?;
                let given = |given: &Tensor| weight.narrow(0, x, given.dim(2)?);
                let given = standardized.map(given).transpose()?;
                let identity = match residual {
                    true => Tensor::cat(&[&Tensor::eye(x, theta.dtype(), &theta.device())?, &zeros(x, x)?], 1)?,
                    false => zeros(x, 2 * x)?,
                };
                let network = match network.layers() {
                    1 => RecursionNetwork {
                        hidden: None,
                        direct: (both(state)? + identity)?,
                        given: given.map(both).transpose()?,
                        bias: bias(first.clone())?,
                    },
                    _ => {
                        let (output, last) = network.layer(theta, TRANSITION, 1)?;
                        let given = given.map(|given| Tensor::cat(&[&given, &zeros(given.dim(0)?, 2 * x)?], 1));
                        RecursionNetwork {
                            hidden: Some(RecursionLayer {
                                state,
                                activation: network.activation(),
                                output: both(output.clone())?,
                            }),
                            direct: identity,
                            given: given.transpose()?,
                            bias: Tensor::cat(&[first, &bias(last.clone())?], 0)?,
                        }
                    }
                };
                (network, standardized)
            }
            _ => return Ok(None),
        };
        Ok(Some(TransitionRecursion {
            steps: network.recursion(given, sizes, self.floor())?,
            raw,
        }))
    }
}
