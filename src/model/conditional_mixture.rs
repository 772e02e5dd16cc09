//! A mixture whose parts are functions of x, `p(y|x) = Σ_z p(z|x) p(y|x,z)`.
//!
//! The lecture's three factorisations are two keys: the prior p(z|x) or p(z), the likelihood p(y|x,z) or p(y|z). (If
//! neither depends on x, y does not: refused.) The functions are linear, or perceptrons with `hidden` layers; the
//! mixture density network (Bishop 1994) is `prior = "given_x"`, `likelihood = "given_x"` with hidden layers.

use super::kind::{Abilities, MStep, ModelKind, latent_of};
use super::mixture::{FixedParts, Mixture, Part, Settings, default_floor};
use super::{LikelihoodKind, Model};
use crate::data::file::Asked;
use crate::error::Fault;
use crate::kind::{Declared, Example};
use crate::math::linear_mixture::Covariance;
use crate::nn::Activation;
use crate::{Result, data::Dataset, data::source::Widths};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether p(z) depends on x.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Prior {
    /// p(z|x): which component is likely depends on x.
    GivenX,
    /// p(z): the same weights everywhere.
    Marginal,
}

/// Whether p(y|z) depends on x.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Likelihood {
    /// p(y|x,z): every component is a function of x.
    GivenX,
    /// p(y|z): components are fixed; only their weights depend on x.
    LatentOnly,
}

/// Whether the standard deviations of y depend on x, if the likelihood does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Deviation {
    /// A function of x, like the means.
    GivenX,
    /// One per component.
    Constant,
}

/// Keys of `kind = "conditional_mixture"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConditionalMixture {
    /// The number of components K; one is the Gaussian policy.
    #[schemars(range(min = 1, max = 1000))]
    pub components: usize,
    /// Whether p(z) depends on x.
    pub prior: Prior,
    /// Whether p(y|z) depends on x as well.
    pub likelihood: Likelihood,
    /// Whether the standard deviations depend on x.
    pub deviation: Deviation,
    /// The form of each component's covariance.
    pub covariance: Covariance,
    /// Units of each hidden layer; none makes the functions linear.
    #[schemars(inner(range(min = 1, max = 65_536)))]
    pub hidden: Vec<usize>,
    /// The non-linearity between hidden layers.
    pub activation: Activation,
    /// The smallest standard deviation, relative to the data's.
    #[schemars(range(min = 1e-9, max = 1.0))]
    pub deviation_floor: f64,
}

/// The largest number of weights; Adam keeps three numbers per weight beside the gradient.
const MOST_WEIGHTS: u64 = 100_000_000;

impl Default for ConditionalMixture {
    fn default() -> Self {
        Self {
            components: 5,
            prior: Prior::GivenX,
            likelihood: Likelihood::GivenX,
            deviation: Deviation::GivenX,
            covariance: Covariance::Diagonal,
            hidden: vec![64, 64],
            activation: Activation::Tanh,
            deviation_floor: default_floor(),
        }
    }
}

impl ConditionalMixture {
    /// Linear means with constant standard deviations and weights: each component is a weighted regression.
    pub fn has_closed_form(&self) -> bool {
        let prior_is_constant = self.prior == Prior::Marginal || self.components == 1;
        prior_is_constant
            && self.likelihood == Likelihood::GivenX
            && self.deviation == Deviation::Constant
            && self.hidden.is_empty()
    }

    /// An upper bound of the number of weights of the function of x.
    fn most_weights(&self, widths: Widths) -> u64 {
        let d = widths.observed as u64;
        let outputs = self.components as u64 * (1 + 2 * d + d * d.saturating_sub(1) / 2);
        let ends = self.hidden.iter().map(|units| *units as u64).chain([outputs]);
        let starts = [widths.given as u64]
            .into_iter()
            .chain(self.hidden.iter().map(|units| *units as u64));
        starts.zip(ends).map(|(inputs, outputs)| (inputs + 1) * outputs).sum()
    }

    /// The faults for data with these numbers of columns.
    pub fn check(&self, widths: Widths) -> Vec<Fault> {
        let mut faults = Vec::new();
        let weights = self.most_weights(widths);
        if weights > MOST_WEIGHTS {
            faults.push(Fault::new(
                "hidden",
                format!(
                    "the function of x would have up to {} million weights",
                    weights / 1_000_000
                ),
                format!("at most {} million", MOST_WEIGHTS / 1_000_000),
                "take fewer or smaller hidden layers, or fewer components",
            ));
        }
        let defaults = Self::default();
        let mut unused = |key: &str, is_unused: bool, reason: &str, acts: &str| {
            if is_unused {
                faults.push(Fault::unused(key, reason, acts));
            }
        };
        unused(
            "activation",
            self.hidden.is_empty() && self.activation != defaults.activation,
            "linear functions have no hidden layer",
            "`hidden` layers",
        );
        unused(
            "prior",
            self.components == 1 && self.prior != defaults.prior,
            "one component has weight 1 everywhere",
            "at least 2 components",
        );
        unused(
            "deviation",
            self.likelihood == Likelihood::LatentOnly && self.deviation != defaults.deviation,
            "with p(y|z) standard deviations do not depend on x",
            "`likelihood = \"given_x\"`",
        );
        if self.prior == Prior::Marginal && self.likelihood == Likelihood::LatentOnly {
            faults.push(Fault::new(
                "likelihood",
                "with p(z) and p(y|z), y would not depend on x at all",
                "`likelihood = \"given_x\"` beside `prior = \"marginal\"`",
                "supported pairs are given_x × given_x, given_x × latent_only and marginal × given_x; for a plain density \
                 use `gaussian_mixture`",
            ));
        }
        if self.components == 1 && self.likelihood == Likelihood::LatentOnly {
            faults.push(Fault::new(
                "likelihood",
                "with one component and p(y|z), y would not depend on x at all",
                "`likelihood = \"given_x\"`",
                "or use more components, whose weights can depend on x",
            ));
        }
        if self.covariance == Covariance::Tied
            && self.deviation == Deviation::GivenX
            && self.likelihood == Likelihood::GivenX
        {
            faults.push(Fault::new(
                "covariance",
                "a covariance that all components share cannot be a function of x here",
                "`full`, `diagonal` or `spherical`",
                "or set `deviation = \"constant\"`",
            ));
        }
        faults
    }

    /// The model for rows like `train`.
    pub fn build(&self, train: &Dataset) -> Result<Mixture> {
        let part = |given| if given { Part::Given } else { Part::Free };
        let likelihood = self.likelihood == Likelihood::GivenX;
        Mixture::new(
            Settings {
                components: self.components,
                prior: part(self.prior == Prior::GivenX && self.components > 1),
                means: part(likelihood),
                scales: part(likelihood && self.deviation == Deviation::GivenX),
                covariance: self.covariance,
                hidden: self.hidden.clone(),
                activation: self.activation,
                deviation_floor: self.deviation_floor,
                logit_scale: 1.0,
                fixed: FixedParts::default(),
            },
            train,
        )
    }
}

impl Declared for ConditionalMixture {
    const NAME: &'static str = "conditional_mixture";
    const SUMMARY: &'static str = "A mixture whose parts depend on what is given: p(y|x) = Σ_z p(z|x) p(y|x,z). With perceptrons it is the \
         mixture density network; with one component, the Gaussian policy.";
    const EQUATION: &'static str = "log p(y, z | x) = log p(z|x) + log N(y; μ_z(x), Σ_z(x))";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"inverse_sinusoid\"\ntrain = 200",
        model: "kind = \"conditional_mixture\"",
        ..Example::USUAL
    };
}

impl ModelKind for ConditionalMixture {
    fn abilities(&self) -> Abilities {
        Abilities {
            conditional: true,
            exact_likelihood: true,
            exact_posterior: true,
            mean: true,
            m_step: match self.has_closed_form() {
                true => MStep::AnyPosterior,
                false => MStep::None,
            },
            learns_prior: self.components > 1,
            has_weight_matrices: true,
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
