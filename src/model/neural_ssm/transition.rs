//! p(x_{t+1} | x_t, u_t): the functions that its parameters may be.

use super::entries::Entries;
use super::formula::Formulas;
use super::{NeuralSsm, NoiseForm, TransitionFunction};
use crate::error::{Fault, provided};
use crate::math::streams::Stream;
use crate::model::Normal;
use crate::nn::{self, Activation, Direction, GatedRecurrent, Parameters, Perceptron};
use crate::{Error, Result};
use candle_core::{D, Tensor};

/// The prefix of its parameters.
pub(super) const TRANSITION: &str = "transition";
/// The prefix of the parameters of the recurrent network.
pub(super) const CELL: &str = "transition.cell";
/// Where a linear transition starts, on the diagonal: states that change slowly.
pub(super) const FIRST_DIAGONAL: f64 = 0.9;
/// The variance where learning starts.
pub(super) const FIRST_VARIANCE: f64 = 0.1;
/// The scale of the output layer of residual networks at the start: the transition is close to x.
pub(super) const FIRST_OUTPUT: f64 = 0.1;

/// The stream of random numbers with this name.
pub(super) type Named<'a> = &'a dyn Fn(&str) -> Stream;

/// x_t and u_t of N rows.
pub(super) struct Condition<'a> {
    /// `[N, X]`
    pub state: &'a Tensor,
    /// u as it is in the data. `[N, U]`
    pub inputs: Option<&'a Tensor>,
    /// u, standardised: what networks see. `[N, U]`
    pub standardized: Option<&'a Tensor>,
    /// h of the next step, where the transition has one. `[N, H]`
    pub deterministic: Option<&'a Tensor>,
}

/// The mean of the next state.
#[derive(Debug, Clone)]
pub(super) enum Function {
    /// A x + B u + b.
    Linear {
        /// A. `[X, X]`
        matrix: Entries,
        /// B. `[X, U]`
        input: Option<Entries>,
        /// b. `[1, X]`
        offset: Entries,
    },
    /// A network, added to x if it is residual.
    Perceptron { network: Perceptron, residual: bool },
    /// (1 − g) (A x + b) + g h.
    Gated {
        gate: Perceptron,
        proposal: Perceptron,
        linear: Perceptron,
    },
    /// Σ_m α_m (A_m x + B_m u + o_m).
    LocallyLinear {
        weights: Perceptron,
        functions: Perceptron,
        matrices: usize,
    },
    /// A network of h.
    Recurrent { cell: GatedRecurrent, network: Perceptron },
    /// Formulas.
    Formula(Formulas),
}

/// p(x_{t+1} | x_t, u_t).
#[derive(Debug, Clone)]
pub(super) struct Transition {
    pub function: Function,
    /// Raw standard deviations; none if they are outputs of the network. `[1, X]`
    pub raw: Option<Entries>,
    pub(super) states: usize,
    pub(super) floor: f64,
}

/// The raw standard deviations of variances; a fault where one is not above the floor.
pub(super) fn raw_deviations(entries: Entries, key: &str, floor: f64) -> std::result::Result<Entries, Fault> {
    if let Some(bad) = entries.find(|variance| variance.is_nan() || variance.sqrt() <= floor) {
        return Err(Fault::new(
            key,
            format!("it holds the variance {bad}"),
            format!(
                "variances above {:e}, the square of the smallest standard deviation",
                floor * floor
            ),
            "raise the variance, or lower the floor of the standard deviations",
        ));
    }
    Ok(entries.map(|_, variance| Normal::raw_of(variance.sqrt(), floor)))
}

impl Transition {
    /// The transition of a table for data with this many inputs.
    pub fn new(keys: &NeuralSsm, inputs: usize) -> std::result::Result<Self, Fault> {
        let (x, floor) = (keys.states, keys.transition_deviation_floor);
        let is_constant = keys.transition_noise == NoiseForm::Constant;
        let outputs = if is_constant { x } else { 2 * x };
        let network = |hidden: &[usize], outputs, activation| {
            let network = Perceptron::new(x + inputs, hidden, outputs, activation);
            network.map_err(|error| Fault::new("transition.hidden", error.to_string(), "layers of units", "list them"))
        };
        let has_network = !matches!(
            keys.transition,
            TransitionFunction::Linear(_) | TransitionFunction::Formula(_)
        );
        if !is_constant && !has_network {
            return Err(Fault::new(
                "transition_noise",
                "this transition has no network for its standard deviations",
                "`transition_noise = \"constant\"`",
                "remove it, or choose another `transition.kind`",
            ));
        }
        let function = match &keys.transition {
            TransitionFunction::Formula(own) => Function::Formula(Formulas::new(
                "transition.parameters",
                "transition",
                own,
                (x, inputs, x),
            )?),
            TransitionFunction::Linear(linear) => {
                let diagonal: Vec<f64> = (0..x * x)
                    .map(|at| if at % (x + 1) == 0 { FIRST_DIAGONAL } else { 0.0 })
                    .collect();
                let input = Entries::matrix(
                    "transition.input",
                    "transition.input",
                    &linear.input,
                    (x, inputs),
                    &vec![0.0; x * inputs],
                )?;
                Function::Linear {
                    matrix: Entries::matrix(
                        "transition.matrix",
                        "transition.matrix",
                        &linear.matrix,
                        (x, x),
                        &diagonal,
                    )?,
                    input: (inputs > 0).then_some(input),
                    offset: Entries::vector("transition.offset", "transition.offset", &linear.offset, &vec![0.0; x])?,
                }
            }
            TransitionFunction::Perceptron(own) => Function::Perceptron {
                network: network(&own.hidden, outputs, own.activation)?.with_output_scale(FIRST_OUTPUT),
                residual: own.residual,
            },
            TransitionFunction::Gated(own) => Function::Gated {
                gate: network(&own.hidden, x, own.activation)?,
                proposal: network(&own.hidden, outputs, own.activation)?,
                linear: network(&[], x, Activation::Identity)?,
            },
            TransitionFunction::Recurrent(own) => {
                let fault = |error: Error| Fault::new("transition.units", error.to_string(), "units", "give some");
                Function::Recurrent {
                    cell: GatedRecurrent::new(x + inputs, own.units).map_err(fault)?,
                    network: Perceptron::new(own.units, &own.hidden, outputs, Activation::Tanh).map_err(fault)?,
                }
            }
            TransitionFunction::LocallyLinear(own) => Function::LocallyLinear {
                weights: network(&own.hidden, own.matrices, Activation::Tanh)?,
                functions: network(&[], own.matrices * outputs, Activation::Identity)?.with_output_scale(FIRST_OUTPUT),
                matrices: own.matrices,
            },
        };
        let variances = Entries::vector(
            "transition.raw",
            "transition_variances",
            &keys.transition_variances,
            &vec![FIRST_VARIANCE.max(2.0 * floor * floor); x],
        )?;
        Ok(Self {
            function,
            raw: match is_constant {
                true => Some(raw_deviations(variances, "transition_variances", floor)?),
                false => None,
            },
            states: x,
            floor,
        })
    }

    /// The distribution of the next states. Rows: `[N, X]`
    pub fn apply(&self, theta: &Parameters, condition: &Condition) -> Result<Normal> {
        let x = condition.state;
        let joined = || -> Result<Tensor> {
            Ok(match condition.standardized {
                Some(u) => Tensor::cat(&[x, u], 1)?,
                None => x.clone(),
            })
        };
        let output = match &self.function {
            Function::Linear { matrix, input, offset } => {
                let mut mean = x.matmul(&matrix.value(theta)?.t()?.contiguous()?)?;
                if let (Some(input), Some(u)) = (input, condition.inputs) {
                    mean = (mean + u.matmul(&input.value(theta)?.t()?.contiguous()?)?)?;
                }
                mean.broadcast_add(&offset.value(theta)?)?
            }
            Function::Formula(formulas) => formulas.apply(
                theta,
                &match condition.inputs {
                    Some(u) => Tensor::cat(&[x, u], 1)?,
                    None => x.clone(),
                },
            )?,
            Function::Perceptron { network, residual } => {
                let output = network.forward(theta, TRANSITION, &joined()?)?;
                if !residual {
                    return self.normal(theta, output);
                }
                match self.raw.is_some() {
                    true => (output + x)?,
                    false => {
                        let (mean, raw) = self.halves(&output)?;
                        Tensor::cat(&[(mean + x)?, raw], 1)?
                    }
                }
            }
            Function::Recurrent { network, .. } => {
                let h = provided(condition.deterministic, "the deterministic part of the state")?;
                network.forward(theta, TRANSITION, h)?
            }
            Function::Gated { gate, proposal, linear } => {
                let input = joined()?;
                let gate = sigmoid(&gate.forward(theta, "transition.gate", &input)?)?;
                let proposal = proposal.forward(theta, "transition.proposal", &input)?;
                let linear = linear.forward(theta, "transition.linear", &input)?;
                let means = proposal.narrow(1, 0, self.states)?;
                let mean = ((&gate * means)? + (linear.sub(&(&gate * &linear)?))?)?;
                match self.raw.is_some() {
                    true => mean,
                    false => Tensor::cat(&[mean, self.halves(&proposal)?.1], 1)?,
                }
            }
            Function::LocallyLinear {
                weights,
                functions,
                matrices,
            } => {
                let input = joined()?;
                let weights = nn::log_softmax(&weights.forward(theta, "transition.weights", &input)?)?.exp()?;
                let all = functions.forward(theta, "transition.functions", &input)?;
                let all = all.reshape((input.dim(0)?, *matrices, self.outputs()))?;
                all.broadcast_mul(&weights.unsqueeze(D::Minus1)?)?.sum(1)?
            }
        };
        self.normal(theta, output)
    }

    /// The recurrent network of the deterministic path, if there is one.
    pub fn cell(&self) -> Option<&GatedRecurrent> {
        match &self.function {
            Function::Recurrent { cell, .. } => Some(cell),
            _ => None,
        }
    }

    /// h of steps 1 … T given x (and u) of steps 0 … T − 1 and h of step 0, which is 0 if absent. Inputs `[N, T, X + U]`,
    /// result `[N, T, H]`
    pub fn deterministic(
        &self,
        theta: &Parameters,
        inputs: &Tensor,
        initial: Option<&Tensor>,
    ) -> Result<Option<Tensor>> {
        let sweep = |cell: &GatedRecurrent| cell.sweep(theta, CELL, inputs, initial, None, Direction::Forward);
        self.cell().map(sweep).transpose()
    }

    /// The smallest standard deviation.
    pub fn floor(&self) -> f64 {
        self.floor
    }

    /// Fixed entries that are stored beside learnt ones.
    pub fn fixed_beside_learnt(&self) -> usize {
        let linear = match &self.function {
            Function::Linear { matrix, input, offset } => vec![Some(matrix), input.as_ref(), Some(offset)],
            Function::Formula(formulas) => vec![formulas.parameters.as_ref()],
            _ => Vec::new(),
        };
        let all = linear.into_iter().flatten().chain(&self.raw);
        all.map(Entries::fixed_beside_learnt).sum()
    }

    pub(super) fn halves(&self, output: &Tensor) -> Result<(Tensor, Tensor)> {
        let x = self.states;
        Ok((output.narrow(1, 0, x)?, output.narrow(1, x, x)?))
    }

    fn normal(&self, theta: &Parameters, output: Tensor) -> Result<Normal> {
        let (mean, raw) = match &self.raw {
            Some(raw) => (output, raw.value(theta)?),
            None => self.halves(&output)?,
        };
        Ok(Normal {
            mean,
            raw,
            floor: self.floor,
        })
    }
}

/// 1 / (1 + exp −x), by the hyperbolic tangent, which does not overflow.
fn sigmoid(x: &Tensor) -> Result<Tensor> {
    Ok((((x * 0.5)?.tanh()? + 1.0)? * 0.5)?)
}
