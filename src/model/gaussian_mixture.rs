//! A mixture of Gaussians, `p(x) = Σ_z p(z) N(x; μ_z, Σ_z)`, p(z) = softmax(logit_scale · logits).
//!
//! Any of its three parts can be given and held fixed: with fixed means and covariances, only the weights are learnt.

use super::kind::{Abilities, MStep, ModelKind, latent_of};
use super::mixture::{FixedParts, Mixture, Settings, default_floor};
use super::{LikelihoodKind, Model};
use crate::data::file::Asked;
use crate::error::Fault;
use crate::kind::{Declared, Example};
use crate::math::linear_mixture::Covariance;
use crate::{Result, data::Dataset, data::source::Widths};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys of `kind = "gaussian_mixture"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GaussianMixture {
    /// The number of components K.
    #[schemars(range(min = 1, max = 10_000))]
    pub components: usize,
    /// The form of the covariances Σ_z.
    pub covariance: Covariance,
    /// The smallest standard deviation, relative to the data's; it keeps components from collapsing onto a point.
    #[schemars(range(min = 1e-9, max = 1.0))]
    pub deviation_floor: f64,
    /// Initial logits of p(z), one per component. Without this key the weights start as the shares of the clusters of
    /// k-means, or equal where `fixed_means` are given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logits: Option<Vec<f64>>,
    /// p(z) = softmax(logit_scale · logits).
    #[schemars(range(min = 1e-6, max = 1e6))]
    pub logit_scale: f64,
    /// Means, one row per component, held fixed; learnt without this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed_means: Option<Vec<Vec<f64>>>,
    /// One standard deviation for all axes of all components, held fixed; covariances are learnt without this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1e-300))]
    pub fixed_deviation: Option<f64>,
}

impl Default for GaussianMixture {
    fn default() -> Self {
        Self {
            components: 3,
            covariance: Covariance::Full,
            deviation_floor: default_floor(),
            logits: None,
            logit_scale: 1.0,
            fixed_means: None,
            fixed_deviation: None,
        }
    }
}

impl GaussianMixture {
    /// The faults for data with these numbers of columns.
    pub fn check(&self, widths: Widths) -> Vec<Fault> {
        let mut faults = Vec::new();
        let (components, defaults) = (self.components, Self::default());
        let fixed = self.fixed_deviation.is_some();
        let one = "one component has weight 1";
        for (key, is_unused, reason) in [
            (
                "covariance",
                fixed && self.covariance != defaults.covariance,
                "the standard deviation is fixed",
            ),
            (
                "deviation_floor",
                fixed && self.deviation_floor != defaults.deviation_floor,
                "the standard deviation is fixed",
            ),
            ("logits", components == 1 && self.logits.is_some(), one),
            (
                "logit_scale",
                components == 1 && self.logit_scale != defaults.logit_scale,
                one,
            ),
        ] {
            if is_unused {
                let acts = if fixed {
                    "learnt standard deviations"
                } else {
                    "at least 2 components"
                };
                faults.push(Fault::unused(key, reason, acts));
            }
        }
        if let Some(logits) = &self.logits
            && logits.len() != components
        {
            faults.push(Fault::new(
                "logits",
                format!("{} logits for {components} components", logits.len()),
                format!("{components} numbers"),
                "give one logit per component, or change `components`",
            ));
        }
        if let Some(means) = &self.fixed_means {
            if means.len() != components {
                faults.push(Fault::new(
                    "fixed_means",
                    format!("{} means for {components} components", means.len()),
                    format!("{components} rows"),
                    "give one row per component, or change `components`",
                ));
            }
            if let Some(i) = means.iter().position(|mean| mean.len() != widths.observed) {
                faults.push(Fault::new(
                    format!("fixed_means.{i}"),
                    format!(
                        "a mean of {} numbers for data of {} columns",
                        means[i].len(),
                        widths.observed
                    ),
                    format!("{} numbers", widths.observed),
                    "give one number per observed column",
                ));
            }
        }
        faults
    }

    /// The model for rows like `train`.
    pub fn build(&self, train: &Dataset) -> Result<Mixture> {
        Mixture::new(
            Settings {
                components: self.components,
                covariance: self.covariance,
                deviation_floor: self.deviation_floor,
                logit_scale: self.logit_scale,
                fixed: FixedParts {
                    first_logits: self.logits.clone(),
                    means: self.fixed_means.as_ref().map(|rows| rows.concat()),
                    deviation: self.fixed_deviation,
                },
                ..Settings::density()
            },
            train,
        )
    }
}

impl Declared for GaussianMixture {
    const NAME: &'static str = "gaussian_mixture";
    const SUMMARY: &'static str = "A mixture of Gaussians: p(x) = Σ_z p(z) N(x; μ_z, Σ_z).";
    const EQUATION: &'static str = "log p(x, z) = log softmax(logit_scale · logits)_z + log N(x; μ_z, Σ_z)";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"ring\"\ntrain = 200",
        model: "kind = \"gaussian_mixture\"",
        ..Example::USUAL
    };
}

impl ModelKind for GaussianMixture {
    fn abilities(&self) -> Abilities {
        Abilities {
            density: true,
            exact_likelihood: true,
            exact_posterior: true,
            m_step: MStep::AnyPosterior,
            has_one_start: self.fixed_means.is_some() && self.fixed_deviation.is_some(),
            learns_prior: self.components > 1,
            ..Abilities::none(latent_of(self.components), Asked::Varying)
        }
    }

    fn likelihood(&self, _is_given: bool) -> LikelihoodKind {
        LikelihoodKind::Exact
    }

    fn check(&self, widths: Widths) -> Vec<Fault> {
        Self::check(self, widths)
    }

    fn build(&self, train: &Dataset) -> Result<Box<dyn Model>> {
        Ok(Box::new(Self::build(self, train)?))
    }
}
