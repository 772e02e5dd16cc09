//! The tables of the functions and noises of a neural state space.

use crate::error::Fault;
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
    /// Images from x by convolutions: a small image of many channels, doubled and convolved until it is whole.
    Convolutional(EmissionConvolutions),
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
    /// Waves of random frequency before the network, which then learns fine detail of few states. Without this key it sees x
    /// alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fourier: Option<FourierKeys>,
    /// A linear map beside the network, which is weighted by a gate. Without this key there is the network alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip: Option<SkipKeys>,
}

impl Default for EmissionPerceptron {
    fn default() -> Self {
        Self {
            hidden: vec![64],
            activation: Activation::Tanh,
            fourier: None,
            skip: None,
        }
    }
}

/// Keys of an emission of images by convolutions: dense layers give an image whose sides are 2^L times shorter, then each of L
/// layers doubles rows and columns and convolves 3×3 pixels; the last gives the frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EmissionConvolutions {
    /// Units of each hidden layer before the smallest image.
    #[schemars(inner(range(min = 1, max = 65_536)))]
    pub hidden: Vec<usize>,
    /// Channels of the image before each of the L layers.
    #[schemars(length(min = 1, max = 10), inner(range(min = 1, max = 1024)))]
    pub channels: Vec<usize>,
    /// The non-linearity of every layer but the last.
    pub activation: Activation,
}

impl Default for EmissionConvolutions {
    fn default() -> Self {
        Self {
            hidden: vec![64],
            channels: vec![32, 16, 8],
            activation: Activation::Relu,
        }
    }
}

/// Keys of waves of the state: sin Ω x and cos Ω x, the entries of Ω drawn once from N(0, deviation²).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FourierKeys {
    /// The number of frequencies, M.
    #[schemars(range(min = 1, max = 65_536))]
    pub waves: usize,
    /// The standard deviation of the entries of Ω.
    #[schemars(range(min = 1e-6, max = 1e6))]
    pub deviation: f64,
}

impl Default for FourierKeys {
    fn default() -> Self {
        Self {
            waves: 64,
            deviation: 1.5,
        }
    }
}

/// Keys of a linear map with a gate: W x + b + g · network(x).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SkipKeys {
    /// The share of training in which the gate is closed: the linear map alone shapes the states.
    #[schemars(range(min = 0, max = 1))]
    pub alone: f64,
    /// The share of training over which the gate then opens, linearly.
    #[schemars(range(min = 0, max = 1))]
    pub ramp: f64,
    /// g once the gate is open.
    #[schemars(range(min = 0, max = 1e3))]
    pub gate: f64,
}

impl Default for SkipKeys {
    fn default() -> Self {
        Self {
            alone: 0.3,
            ramp: 0.2,
            gate: 1.0,
        }
    }
}

impl SkipKeys {
    /// The fault of a gate that is not open before training ends.
    pub(super) fn too_long(&self) -> Fault {
        Fault::new(
            "emission.skip.ramp",
            format!("the gate opens after {} + {} of training", self.alone, self.ramp),
            "`alone` and `ramp` with a sum of at most 1",
            "lower one of them",
        )
    }
}

/// Keys of a floor that falls during training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FloorKeys {
    /// The floor at the start, in the unit of `emission_deviation_floor`.
    #[schemars(range(min = 1e-9, max = 1e3))]
    pub from: f64,
    /// The share of training over which it falls to `emission_deviation_floor`, by the same factor in each step.
    #[schemars(range(min = 0, max = 1))]
    pub until: f64,
}

impl FloorKeys {
    /// The floor after this share of training, which ends at `last`.
    pub(super) fn at(&self, share: f64, last: f64) -> f64 {
        let done = if self.until > 0.0 {
            (share / self.until).clamp(0.0, 1.0)
        } else {
            1.0
        };
        (self.from.ln() * (1.0 - done) + last.ln() * done).exp()
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

/// The standard deviations of a Gaussian emission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmissionNoise {
    /// One for each column.
    Constant,
    /// One for all columns, in units of the columns' own deviations, which images share.
    Spherical,
    /// Functions of the state, by the network of the means.
    StateDependent,
}
