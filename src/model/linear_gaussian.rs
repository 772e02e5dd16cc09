//! A line with Gaussian noise, `p(y|x) = N(y; W x + b, Σ)`: linear regression, with constant noise.

use super::mixture::{Mixture, Part, Settings, default_floor};
use crate::math::linear_mixture::Covariance;
use crate::{Result, data::Dataset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys of `kind = "linear_gaussian"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LinearGaussian {
    /// The form of Σ; `tied` is the same as `full` here.
    pub covariance: Covariance,
    /// The smallest standard deviation, relative to the data's; it keeps Σ from being singular.
    #[schemars(range(min = 1e-9, max = 1.0))]
    pub deviation_floor: f64,
}

impl Default for LinearGaussian {
    fn default() -> Self {
        Self {
            covariance: Covariance::Full,
            deviation_floor: default_floor(),
        }
    }
}

impl LinearGaussian {
    /// The model for rows like `train`.
    pub fn build(&self, train: &Dataset) -> Result<Mixture> {
        Mixture::new(
            Settings {
                covariance: self.covariance,
                means: Part::Given,
                deviation_floor: self.deviation_floor,
                ..Settings::density()
            },
            train,
        )
    }
}
