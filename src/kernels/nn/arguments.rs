//! What the operations are told besides tensors: the activation of a layer, the form of a mixture, the limits of raw
//! numbers.
//!
//! No operation is here, so that the fused ones and their composed references both import this file.

use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Raw standard deviations are clamped to plus and minus this.
pub const RAW_LIMIT: f64 = 80.0;

/// The function applied to every output of a hidden layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x`: the layer stays linear.
    Identity,
    /// `tanh x`, between -1 and 1.
    #[default]
    Tanh,
    /// `max(x, 0)`.
    Relu,
    /// `x / (1 + exp(-x))`, a smooth `relu`.
    Silu,
}

/// The activations whose gradient is a function of their value, so that only the value is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Saturation {
    Identity,
    Tanh,
    Relu,
}

impl Activation {
    /// The same function where its gradient follows from its value.
    pub(crate) fn saturation(self) -> Option<Saturation> {
        match self {
            Self::Identity => Some(Saturation::Identity),
            Self::Tanh => Some(Saturation::Tanh),
            Self::Relu => Some(Saturation::Relu),
            Self::Silu => None,
        }
    }
}

/// The form of a component's covariance given the condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConditionalCovariance {
    /// One standard deviation for all dimensions.
    Spherical,
    /// One standard deviation per dimension.
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
    /// The smallest standard deviation, in the units of `y`.
    pub deviation_floor: f64,
}

impl MixtureShape {
    /// Columns of a tensor that holds logits, means and scales side by side, in this order.
    pub fn columns(&self) -> usize {
        self.components * (1 + self.dimension + self.covariance.raw_count(self.dimension))
    }

    /// Columns of the logits, means and scales.
    pub(super) fn widths(&self) -> [usize; 3] {
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
