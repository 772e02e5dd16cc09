//! The initial parameters of p(x_{t+1} | x_t, u_t): states that change slowly, with noise that hardly depends on them.

use super::transition::{CELL, FIRST_DIAGONAL, FIRST_OUTPUT, FIRST_VARIANCE, Function, Named, TRANSITION, Transition};
use crate::Result;
use crate::model::Normal;
use crate::nn::{Parameters, Perceptron};
use candle_core::{DType, Device, Tensor};

impl Transition {
    /// Adds the initial parameters.
    pub fn initial(&self, theta: &mut Parameters, (dtype, device): (DType, &Device), stream: Named) -> Result<()> {
        if let Some(raw) = &self.raw {
            raw.initial(theta, dtype, device)?;
        }
        match &self.function {
            Function::Linear { matrix, input, offset } => {
                let entries = [Some(matrix), input.as_ref(), Some(offset)];
                entries
                    .into_iter()
                    .flatten()
                    .try_for_each(|own| own.initial(theta, dtype, device))
            }
            Function::Formula(formulas) => formulas
                .parameters
                .iter()
                .try_for_each(|own| own.initial(theta, dtype, device)),
            Function::Perceptron { network, .. } => {
                network.initial(TRANSITION, theta, dtype, device, &stream(TRANSITION))?;
                self.start_raw(TRANSITION, network, 1, theta)
            }
            Function::Recurrent { cell, network } => {
                cell.initial(CELL, theta, dtype, device, &stream(CELL))?;
                network.initial(TRANSITION, theta, dtype, device, &stream(TRANSITION))?;
                self.start_raw(TRANSITION, network, 1, theta)
            }
            Function::Gated { gate, proposal, linear } => {
                for (name, network) in [("gate", gate), ("proposal", proposal), ("linear", linear)] {
                    let prefix = format!("{TRANSITION}.{name}");
                    network.initial(&prefix, theta, dtype, device, &stream(&prefix))?;
                }
                self.start_raw("transition.proposal", proposal, 1, theta)?;
                self.shrink_raw("transition.proposal", proposal, theta)?;
                self.start_near_identity("transition.linear.0.weight", 1, theta, 0.0)
            }
            Function::LocallyLinear {
                weights,
                functions,
                matrices,
            } => {
                for (name, network) in [("weights", weights), ("functions", functions)] {
                    let prefix = format!("{TRANSITION}.{name}");
                    network.initial(&prefix, theta, dtype, device, &stream(&prefix))?;
                }
                self.start_raw("transition.functions", functions, *matrices, theta)?;
                self.start_near_identity("transition.functions.0.weight", *matrices, theta, 1.0)
            }
        }
    }

    /// Outputs for each of the functions: X means and, if they depend on the state, X raw standard deviations.
    pub(super) fn outputs(&self) -> usize {
        self.states * if self.raw.is_some() { 1 } else { 2 }
    }

    /// Starts the bias of raw standard deviations of `network` at the initial variance.
    fn start_raw(&self, prefix: &str, network: &Perceptron, functions: usize, theta: &mut Parameters) -> Result<()> {
        if self.raw.is_some() {
            return Ok(());
        }
        let name = format!("{prefix}.{}.bias", network.layers() - 1);
        let old = theta.get(&name)?.detach();
        let raw = Normal::raw_of(FIRST_VARIANCE.sqrt(), self.floor);
        let (x, outputs) = (self.states, self.outputs());
        let bias: Vec<f64> = (0..functions * outputs)
            .map(|at| if at % outputs < x { 0.0 } else { raw })
            .collect();
        theta.insert(name, &Tensor::new(bias, old.device())?.to_dtype(old.dtype())?)
    }

    /// Lets raw standard deviations hardly depend on the state at the start: exp of a steep function of the state makes paths
    /// of many steps diverge.
    fn shrink_raw(&self, prefix: &str, network: &Perceptron, theta: &mut Parameters) -> Result<()> {
        if self.raw.is_some() {
            return Ok(());
        }
        let name = format!("{prefix}.{}.weight", network.layers() - 1);
        let old = theta.get(&name)?.detach();
        let (means, raw) = self.halves(&old)?;
        theta.insert(name, &Tensor::cat(&[means, (raw * FIRST_OUTPUT)?], 1)?)
    }

    /// Adds a multiple of the identity to the part of a weight matrix that maps x to means; `keep` multiplies the rest.
    fn start_near_identity(&self, name: &str, functions: usize, theta: &mut Parameters, keep: f64) -> Result<()> {
        let old = theta.get(name)?.detach(); // [X + U, functions · outputs]
        let (rows, columns) = old.dims2()?;
        let outputs = columns / functions;
        let identity: Vec<f64> = (0..rows * columns)
            .map(|at| {
                if at / columns == at % columns % outputs {
                    FIRST_DIAGONAL
                } else {
                    0.0
                }
            })
            .collect();
        let identity = Tensor::from_vec(identity, (rows, columns), old.device())?.to_dtype(old.dtype())?;
        theta.insert(name, &((old * keep)? + identity)?)
    }
}
