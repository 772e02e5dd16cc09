//! Deterministic roll-outs of many sequences of actions under a network: what a planner computes thousands of times.
//!
//! x_{h+1} = g([x_h, u_h]), or x_h + g([x_h, u_h]) if it is residual, with g a chain of dense layers as in
//! [`Perceptron`](super::Perceptron). [`LANES`] sequences are computed side by side, so that loops over them vectorise and
//! all states stay in the cache. There is no gradient. Always f32: a plan is far less precise.

use super::arguments::Activation;
use super::float::{Float, LANES, Lanes, vectorised};
use crate::{Error, Result};
use candle_core::{DType, Tensor};

/// g, without a graph.
#[derive(Debug, Clone)]
pub struct RollOut {
    layers: Vec<Layer>,
    activation: Activation,
    is_residual: bool,
    states: usize,
    actions: usize,
}

/// One dense layer.
#[derive(Debug, Clone)]
struct Layer {
    /// `[I, O]`
    weight: Vec<f32>,
    /// `[O]`
    bias: Vec<f32>,
}

/// Outputs that are computed together: their sums stay in registers.
const TOGETHER: usize = 8;

impl RollOut {
    /// The network of these layers, each a weight `[I, O]` and a bias `[O]`, for X states.
    ///
    /// # Errors
    /// If the sizes of layers do not follow one another from X + U to X.
    pub fn new(layers: &[(Tensor, Tensor)], activation: Activation, is_residual: bool, states: usize) -> Result<Self> {
        let read = |tensor: &Tensor| -> Result<Vec<f32>> {
            Ok(tensor.detach().to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
        };
        let mut all = Vec::new();
        let mut width = None;
        for (weight, bias) in layers {
            let (inputs, outputs) = weight.dims2()?;
            if width.is_some_and(|width| width != inputs) || bias.elem_count() != outputs {
                return Err(mismatch());
            }
            width = Some(outputs);
            all.push(Layer {
                weight: read(weight)?,
                bias: read(bias)?,
            });
        }
        let first = layers.first().map_or(Ok(0), |(weight, _)| weight.dim(0))?;
        if width != Some(states) || first < states {
            return Err(mismatch());
        }
        Ok(Self {
            layers: all,
            activation,
            is_residual,
            states,
            actions: first - states,
        })
    }

    /// The states after every step of N sequences of `steps` actions, `[N, steps, U]`, from one state `[X]`.
    /// `[N, steps, X]`
    ///
    /// # Errors
    /// If sizes disagree.
    pub fn paths(&self, start: &[f32], actions: &[f32], steps: usize) -> Result<Vec<f32>> {
        let per_sequence = steps * self.actions;
        let is_whole = per_sequence > 0 && actions.len().is_multiple_of(per_sequence);
        if start.len() != self.states || !is_whole {
            return Err(mismatch());
        }
        let mut paths = vec![0.0; actions.len() / per_sequence * steps * self.states];
        computed(self, start, actions, steps, &mut paths);
        Ok(paths)
    }
}

fn mismatch() -> Error {
    Error::Other("a roll-out expects layers from states and actions to states, one start and whole sequences".into())
}

vectorised! {
    fn computed<'a, T>(network: &'a RollOut, start: &'a [T], actions: &'a [T], steps: usize, paths: &'a mut [T]) {
        let (x, u) = (network.states, network.actions);
        let widest = network.layers.iter().map(|layer| layer.bias.len()).max().unwrap_or(0).max(x + u);
        let mut now: Vec<Lanes<T>> = vec![[T::zero(); LANES]; x + u];
        let (mut front, mut back) = (vec![[T::zero(); LANES]; widest], vec![[T::zero(); LANES]; widest]);
        let sequences = actions.chunks(LANES * steps * u).zip(paths.chunks_mut(LANES * steps * x));
        for (actions, paths) in sequences {
            let rows = paths.len() / (steps * x);
            for (lanes, start) in now.iter_mut().zip(start) {
                *lanes = [*start; LANES];
            }
            for h in 0..steps {
                for (j, lanes) in now[x..].iter_mut().enumerate() {
                    for (l, lane) in lanes.iter_mut().enumerate().take(rows) {
                        *lane = actions[(l * steps + h) * u + j];
                    }
                }
                front[..x + u].copy_from_slice(&now);
                let mut width = x + u;
                for (at, layer) in network.layers.iter().enumerate() {
                    dense(layer, &front[..width], &mut back);
                    width = layer.bias.len();
                    if at + 1 < network.layers.len() {
                        activate(&mut back[..width], network.activation);
                    }
                    std::mem::swap(&mut front, &mut back);
                }
                for (state, next) in now[..x].iter_mut().zip(&front) {
                    for (state, next) in state.iter_mut().zip(next) {
                        *state = if network.is_residual { *state + *next } else { *next };
                    }
                }
                for (j, lanes) in now[..x].iter().enumerate() {
                    for (l, lane) in lanes.iter().enumerate().take(rows) {
                        paths[(l * steps + h) * x + j] = *lane;
                    }
                }
            }
        }
    }
}

/// `to = from W + b` of all lanes.
#[inline(always)]
fn dense<T: Float>(layer: &Layer, from: &[Lanes<T>], to: &mut [Lanes<T>]) {
    let outputs = layer.bias.len();
    let mut at = 0;
    while at + TOGETHER <= outputs {
        columns::<T, TOGETHER>(layer, from, to, at);
        at += TOGETHER;
    }
    while at < outputs {
        columns::<T, 1>(layer, from, to, at);
        at += 1;
    }
}

/// Outputs `at .. at + N` of a layer.
#[inline(always)]
fn columns<T: Float, const N: usize>(layer: &Layer, from: &[Lanes<T>], to: &mut [Lanes<T>], at: usize) {
    let outputs = layer.bias.len();
    let mut sums: [Lanes<T>; N] = std::array::from_fn(|k| [T::of(f64::from(layer.bias[at + k])); LANES]);
    for (input, weights) in from.iter().zip(layer.weight.chunks_exact(outputs)) {
        let weights: &[f32] = &weights[at..at + N];
        for (sum, weight) in sums.iter_mut().zip(weights) {
            let weight = T::of(f64::from(*weight));
            for (sum, input) in sum.iter_mut().zip(input) {
                *sum += weight * *input;
            }
        }
    }
    to[at..at + N].copy_from_slice(&sums);
}

#[inline(always)]
fn activate<T: Float>(layer: &mut [Lanes<T>], f: Activation) {
    let (zero, one) = (T::zero(), T::one());
    let cells = layer.iter_mut();
    match f {
        Activation::Identity => {}
        Activation::Tanh => cells.for_each(|lanes| lanes.iter_mut().for_each(|v| *v = v.tanh())),
        Activation::Relu => {
            cells.for_each(|lanes| lanes.iter_mut().for_each(|v| *v = if *v < zero { zero } else { *v }));
        }
        Activation::Silu => {
            cells.for_each(|lanes| lanes.iter_mut().for_each(|v| *v = *v / (one + (-*v).exp())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::streams::Streams;
    use crate::nn::{Parameters, Perceptron, normal};
    use candle_core::Device;

    /// Paths are those of the network, applied step by step, for every depth, activation and number of sequences.
    #[test]
    fn paths_are_those_of_single_steps() {
        let (x, u, steps) = (3, 2, 4);
        let stream = Streams::new(0).named("roll_out");
        for (hidden, activation) in [
            (vec![], Activation::Identity),
            (vec![11], Activation::Tanh),
            (vec![16, 5], Activation::Relu),
            (vec![9, 8, 7], Activation::Silu),
        ] {
            let network = Perceptron::new(x + u, &hidden, x, activation).expect("a network");
            let mut parameters = Parameters::new();
            network
                .initial("f", &mut parameters, DType::F32, &Device::Cpu, &stream)
                .expect("parameters");
            let layer = |i| network.layer(&parameters, "f", i).map(|(w, b)| (w.clone(), b.clone()));
            let layers: Vec<_> = (0..network.layers()).map(|i| layer(i).expect("a layer")).collect();
            for (sequences, is_residual) in [(1, true), (LANES + 3, false), (2 * LANES, true)] {
                let fused = RollOut::new(&layers, activation, is_residual, x).expect("a network");
                let start = [0.3, -0.7, 1.1];
                let actions = normal(stream.at(9), (sequences, steps, u), DType::F32, &Device::Cpu).expect("actions");
                let flat: Vec<f32> = actions.flatten_all().and_then(|a| a.to_vec1()).expect("numbers");
                let paths = fused.paths(&start, &flat, steps).expect("paths");
                let mut state = Tensor::new(&[start], &Device::Cpu)
                    .and_then(|start| start.repeat((sequences, 1)))
                    .expect("states");
                for h in 0..steps {
                    let own = actions.narrow(1, h, 1).and_then(|own| own.squeeze(1)).expect("actions");
                    let input = Tensor::cat(&[&state, &own], 1).expect("inputs");
                    let next = network.forward(&parameters, "f", &input).expect("states");
                    state = if is_residual {
                        (&state + next).expect("states")
                    } else {
                        next
                    };
                    let expected: Vec<Vec<f32>> = state.to_vec2().expect("numbers");
                    for (n, expected) in expected.iter().enumerate() {
                        for (j, expected) in expected.iter().enumerate() {
                            let got = paths[(n * steps + h) * x + j];
                            assert!(
                                (got - expected).abs() < 1e-5,
                                "{hidden:?} {n} {h} {j}: {got} {expected}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let zeros = |rows, columns| Tensor::zeros((rows, columns), DType::F64, &Device::Cpu).expect("zeros");
        let bias = |columns| Tensor::zeros(columns, DType::F64, &Device::Cpu).expect("zeros");
        let new = |layers: &[(Tensor, Tensor)]| RollOut::new(layers, Activation::Tanh, false, 2);
        assert!(new(&[]).is_err());
        assert!(new(&[(zeros(3, 4), bias(4)), (zeros(5, 2), bias(2))]).is_err());
        assert!(new(&[(zeros(3, 4), bias(4))]).is_err());
        let network = new(&[(zeros(3, 2), bias(2))]).expect("a network");
        assert!(network.paths(&[0.0; 3], &[0.0; 4], 2).is_err());
        assert!(network.paths(&[0.0; 2], &[0.0; 3], 2).is_err());
        assert_eq!(network.paths(&[1.0; 2], &[0.0; 4], 2).expect("paths"), [0.0; 8]);
    }
}
