//! One Gaussian, `p(x) = N(x; μ, Σ)`: the mixture of one component, without a latent variable.

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

/// Keys of `kind = "gaussian"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Gaussian {
    /// The form of Σ; `tied` is the same as `full` here.
    pub covariance: Covariance,
    /// The smallest standard deviation, relative to the data's; it keeps Σ from being singular.
    #[schemars(range(min = 1e-9, max = 1.0))]
    pub deviation_floor: f64,
}

impl Default for Gaussian {
    fn default() -> Self {
        Self {
            covariance: Covariance::Full,
            deviation_floor: default_floor(),
        }
    }
}

impl Gaussian {
    /// The model for rows like `train`.
    pub fn build(&self, train: &Dataset) -> Result<Mixture> {
        Mixture::new(
            Settings {
                components: 1,
                covariance: self.covariance,
                deviation_floor: self.deviation_floor,
                ..Settings::density()
            },
            train,
        )
    }
}

impl Settings {
    /// A density: no part is given.
    pub(super) fn density() -> Self {
        Self {
            components: 1,
            prior: Part::Free,
            means: Part::Free,
            scales: Part::Free,
            covariance: Covariance::Full,
            hidden: Vec::new(),
            activation: crate::nn::Activation::Tanh,
            deviation_floor: default_floor(),
            logit_scale: 1.0,
            fixed: super::mixture::FixedParts::default(),
        }
    }
}

impl Declared for Gaussian {
    const NAME: &'static str = "gaussian";
    const SUMMARY: &'static str = "One Gaussian: p(x) = N(x; μ, Σ).";
    const EQUATION: &'static str = "log p(x) = log N(x; μ, Σ)";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"ring\"\ntrain = 200",
        model: "kind = \"gaussian\"",
        ..Example::USUAL
    };
}

impl ModelKind for Gaussian {
    fn abilities(&self) -> Abilities {
        Abilities {
            density: true,
            exact_likelihood: true,
            exact_posterior: true,
            m_step: MStep::AnyPosterior,
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
