//! A line with Gaussian noise, `p(y|x) = N(y; W x + b, Σ)`: linear regression, with constant noise.

use super::kind::{Abilities, LatentKind, MStep, ModelKind};
use super::mixture::{Mixture, Part, Settings, default_floor};
use super::{LikelihoodKind, Model};
use crate::data::file::Asked;
use crate::data::source::Widths;
use crate::error::Fault;
use crate::kind::{Declared, Example};
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

impl Declared for LinearGaussian {
    const NAME: &'static str = "linear_gaussian";
    const SUMMARY: &'static str = "A line with Gaussian noise: p(y|x) = N(y; W x + b, Σ).";
    const EQUATION: &'static str = "log p(y|x) = log N(y; W x + b, Σ)";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"inverse_sinusoid\"\ntrain = 200",
        model: "kind = \"linear_gaussian\"",
        ..Example::USUAL
    };
}

impl ModelKind for LinearGaussian {
    fn abilities(&self) -> Abilities {
        Abilities {
            conditional: true,
            exact_likelihood: true,
            exact_posterior: true,
            mean: true,
            m_step: MStep::AnyPosterior,
            has_weight_matrices: true,
            ..Abilities::none(LatentKind::None, Asked::Varying)
        }
    }

    fn likelihood(&self, _is_given: bool) -> LikelihoodKind {
        LikelihoodKind::Exact
    }

    fn check(&self, _widths: Widths) -> Vec<Fault> {
        Vec::new()
    }

    fn build(&self, train: &Dataset) -> Result<Box<dyn Model>> {
        Ok(Box::new(Self::build(self, train)?))
    }
}
