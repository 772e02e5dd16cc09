//! The tables of the functions and noises of a neural state space.

use crate::model::linear_gaussian_ssm::{MatrixKeys, VectorKeys};
use crate::nn::Activation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The mean of the next state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TransitionFunction {
    /// A x + B u + b.
    Linear(LinearTransition),
    /// A network of x and u, added to x if it is residual.
    Perceptron(PerceptronKeys),
    /// (1 − g) (A x + b) + g h, with networks g and h of x and u (Krishnan et al. 2017, section 4).
    Gated(GatedKeys),
    /// A(x, u) x + B(x, u) u + o(x, u), each a mean of learnt matrices, weighted by a network of x and u (Karl et al. 2017,
    /// equation 11).
    LocallyLinear(LocallyLinearKeys),
    /// A network of h_{t+1}, the state of a gated recurrent network of x and u: a deterministic path beside the
    /// stochastic one, which a network of the emission sees, too (Hafner et al. 2019, equation 4).
    Recurrent(RecurrentKeys),
    /// Formulas of x1 … xX, u1 … uU (in the data's units) and named parameters.
    Formula(FormulaKeys),
}

/// Keys of a linear transition.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LinearTransition {
    /// A, `[X, X]`: `fixed` and `start` as lists of rows; entries `nan` of `fixed` are learnt. Starts at 0.9 on the
    /// diagonal.
    pub matrix: MatrixKeys,
    /// B, `[X, U]`: `fixed` and `start` as lists of rows. Starts at zero.
    pub input: MatrixKeys,
    /// b, `[X]`: `fixed` and `start`. Starts at zero.
    pub offset: VectorKeys,
}

/// Keys of a network of the transition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PerceptronKeys {
    /// Units of each hidden layer.
    #[schemars(inner(range(min = 1, max = 65_536)))]
    pub hidden: Vec<usize>,
    /// The non-linearity between hidden layers.
    pub activation: Activation,
    /// Whether the network is added to x.
    pub residual: bool,
}

impl Default for PerceptronKeys {
    fn default() -> Self {
        Self {
            hidden: vec![64],
            activation: Activation::Tanh,
            residual: true,
        }
    }
}

/// Keys of a gated transition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GatedKeys {
    /// Units of each hidden layer of both networks.
    #[schemars(inner(range(min = 1, max = 65_536)))]
    pub hidden: Vec<usize>,
    /// The non-linearity between hidden layers.
    pub activation: Activation,
}

impl Default for GatedKeys {
    fn default() -> Self {
        Self {
            hidden: vec![64],
            activation: Activation::Relu,
        }
    }
}

/// Keys of a locally linear transition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LocallyLinearKeys {
    /// The number of matrices that are averaged.
    #[schemars(range(min = 1, max = 1024))]
    pub matrices: usize,
    /// Units of each hidden layer of the network of the weights.
    #[schemars(inner(range(min = 1, max = 65_536)))]
    pub hidden: Vec<usize>,
}

impl Default for LocallyLinearKeys {
    fn default() -> Self {
        Self {
            matrices: 16,
            hidden: vec![64],
        }
    }
}

/// Keys of a recurrent transition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RecurrentKeys {
    /// Units of the recurrent network.
    #[schemars(range(min = 1, max = 65_536))]
    pub units: usize,
    /// Units of each hidden layer of the network of h.
    #[schemars(inner(range(min = 1, max = 65_536)))]
    pub hidden: Vec<usize>,
}

impl Default for RecurrentKeys {
    fn default() -> Self {
        Self {
            units: 64,
            hidden: vec![64],
        }
    }
}

/// The parameters of p(o | x).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EmissionFunction {
    /// C x + d.
    Linear(LinearEmission),
    /// A network of x.
    Perceptron(EmissionPerceptron),
    /// Formulas of x1 … xX and named parameters, in the data's units; logits of binary observations.
    Formula(FormulaKeys),
}

/// Keys of formulas.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FormulaKeys {
    /// One formula for each number of the result, such as `"2 * sin(x1) + x1"`.
    pub formulas: Vec<String>,
    /// Names of the parameters.
    pub parameters: Vec<String>,
    /// Their values: `fixed` ones are not learnt, except entries `nan`; `start` is the initial value, 1 without it.
    pub values: VectorKeys,
}

/// Keys of a linear emission.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LinearEmission {
    /// C, `[O, X]`: `fixed` and `start` as lists of rows; entries `nan` of `fixed` are learnt. Starts at random numbers.
    pub matrix: MatrixKeys,
    /// d, `[O]`: `fixed` and `start`. Starts at the means of the training steps.
    pub offset: VectorKeys,
}

/// Keys of a network of the emission.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EmissionPerceptron {
    /// Units of each hidden layer.
    #[schemars(inner(range(min = 1, max = 65_536)))]
    pub hidden: Vec<usize>,
    /// The non-linearity between hidden layers.
    pub activation: Activation,
}

impl Default for EmissionPerceptron {
    fn default() -> Self {
        Self {
            hidden: vec![64],
            activation: Activation::Tanh,
        }
    }
}

/// Keys of rewards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RewardKeys {
    /// How many of the observed columns, counted from the last, are rewards.
    #[schemars(range(min = 1, max = 1024))]
    pub columns: usize,
    /// Units of each hidden layer of the network of x and u.
    #[schemars(inner(range(min = 1, max = 65_536)))]
    pub hidden: Vec<usize>,
    /// The non-linearity between hidden layers.
    pub activation: Activation,
}

impl Default for RewardKeys {
    fn default() -> Self {
        Self {
            columns: 1,
            hidden: vec![64],
            activation: Activation::Tanh,
        }
    }
}

/// The form of p(o|x).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Likelihood {
    /// Independent Gaussians.
    Gaussian,
    /// Independent columns of 0 and 1.
    Bernoulli,
}

/// Whether standard deviations depend on the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoiseForm {
    /// One for each dimension.
    Constant,
    /// Functions of the same condition as the means, by the same network.
    StateDependent,
}
