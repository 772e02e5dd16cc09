//! A continuous latent variable: `p(x) = ∫ p(x|z) p(z) dz`. p(z) and p(x|z) are simple distributions; the parameters of
//! p(x|z) are a function of z, so p(x) can be complicated.
//!
//! | part | forms |
//! |---|---|
//! | p(z) | N(0, I); a mixture of diagonal Gaussians, learnt; N(μ(x), diag σ(x)²) if x is given |
//! | p(x given z) | diagonal Gaussian, or one Bernoulli per column; parameters by a linear function or a perceptron |
//!
//! With everything linear and N(0, I) it is probabilistic principal component analysis (Tipping & Bishop 1999; one
//! standard deviation) or factor analysis (one per column). With perceptrons it is the decoder of a variational
//! autoencoder (Kingma & Welling 2014; Rezende, Mohamed & Wierstra 2014). Conditional, `p(y|x) = ∫ p(y|x,z) p(z|x) dz`,
//! it is a policy with a latent variable.
//!
//! Parameters: `decoder.*`; `deviation` `[1, 1]` or `[1, D]`, raw, if it does not depend on z; and for the prior
//! `prior.*` (given x) or `prior_logits` `[1, K]`, `prior_means` `[K, Z]`, `prior_deviations` `[K, Z]`, raw (a
//! mixture). A raw number r is the standard deviation floor + exp r.

mod decoder;
mod integral;
mod joint;
mod linear;
mod model;

pub use model::LatentGaussianModel;

use super::kind::{Abilities, LatentKind, MStep, ModelKind};
use super::{LikelihoodKind, Model};
use crate::data::file::Asked;
use crate::data::{Dataset, Field, source::Widths};
use crate::error::Fault;
use crate::kind::{Declared, Example};
use crate::nn::{Activation, Perceptron};
use crate::{Error, Result};
use model::pooled_deviation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The form of p(z).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Prior {
    /// N(0, I).
    StandardNormal,
    /// A mixture of diagonal Gaussians, learnt.
    Mixture,
    /// p(z|x) = N(μ(x), diag σ(x)²), by a network like the decoder; for conditional data.
    GivenX,
}

/// The form of p(x|z).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Likelihood {
    /// Independent Gaussians.
    Gaussian,
    /// Independent columns of 0 and 1.
    Bernoulli,
}

/// Whether the standard deviations of x depend on the column and on z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Deviation {
    /// One number for all columns and all z.
    Shared,
    /// One per column, the same for all z.
    PerColumn,
    /// A function of z (and x), like the means.
    GivenZ,
}

/// Keys of `kind = "latent_gaussian"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LatentGaussian {
    /// The number of dimensions of z.
    #[schemars(range(min = 1, max = 1024))]
    pub latent_dimensions: usize,
    /// The form of p(z).
    pub prior: Prior,
    /// Components of a mixture prior.
    #[schemars(range(min = 1, max = 1000))]
    pub prior_components: usize,
    /// The form of p(x|z).
    pub likelihood: Likelihood,
    /// Whether the standard deviations of a Gaussian likelihood depend on the column and on z.
    pub deviation: Deviation,
    /// The shared standard deviation, held fixed, in the units that the model sees; learnt without this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1e-9, max = 1e9))]
    pub fixed_deviation: Option<f64>,
    /// The smallest standard deviation, relative to the data's.
    #[schemars(range(min = 1e-9, max = 1.0))]
    pub deviation_floor: f64,
    /// Units of each hidden layer of the decoder; none makes it linear.
    #[schemars(inner(range(min = 1, max = 65_536)))]
    pub hidden: Vec<usize>,
    /// The non-linearity between hidden layers.
    pub activation: Activation,
}

impl Default for LatentGaussian {
    fn default() -> Self {
        Self {
            latent_dimensions: 2,
            prior: Prior::StandardNormal,
            prior_components: 10,
            likelihood: Likelihood::Gaussian,
            deviation: Deviation::Shared,
            fixed_deviation: None,
            deviation_floor: 1e-2,
            hidden: vec![64, 64],
            activation: Activation::Tanh,
        }
    }
}

impl LatentGaussian {
    /// Whether p(x, z) is one Gaussian, which has everything in closed form.
    pub fn is_linear(&self) -> bool {
        self.hidden.is_empty()
            && self.prior == Prior::StandardNormal
            && self.likelihood == Likelihood::Gaussian
            && self.deviation != Deviation::GivenZ
    }

    /// How log p(x) is computed; `is_given` says whether there are given columns.
    pub fn likelihood_kind(&self, is_given: bool) -> LikelihoodKind {
        match (self.is_linear(), self.is_integrable(is_given)) {
            (true, _) => LikelihoodKind::Exact,
            (false, true) => LikelihoodKind::Grid,
            (false, false) => LikelihoodKind::Bound,
        }
    }

    /// Whether a grid over z is affordable; `is_given` says whether there are given columns.
    pub fn is_integrable(&self, is_given: bool) -> bool {
        self.latent_dimensions <= if is_given { 1 } else { 2 }
    }

    /// The faults for data with these numbers of columns.
    pub fn check(&self, widths: Widths) -> Vec<Fault> {
        let mut faults = Vec::new();
        let defaults = Self::default();
        if self.prior == Prior::GivenX && widths.given == 0 {
            faults.push(Fault::new(
                "prior",
                "p(z|x) needs x, and these data have no given columns",
                "`standard_normal` or `mixture`",
                "choose a prior without x, or data with given columns",
            ));
        }
        let mut ignored = |key: &str, wrong: bool, reason: &str, acts: &str| {
            if wrong {
                faults.push(Fault::unused(key, reason, acts));
            }
        };
        ignored(
            "prior_components",
            self.prior != Prior::Mixture && self.prior_components != defaults.prior_components,
            "the prior is not a mixture",
            "`prior = \"mixture\"`",
        );
        let bernoulli = self.likelihood == Likelihood::Bernoulli;
        ignored(
            "deviation",
            bernoulli && self.deviation != defaults.deviation,
            "a Bernoulli likelihood has no standard deviation",
            "`likelihood = \"gaussian\"`",
        );
        ignored(
            "deviation_floor",
            bernoulli && self.deviation_floor != defaults.deviation_floor,
            "a Bernoulli likelihood has no standard deviation",
            "`likelihood = \"gaussian\"`",
        );
        ignored(
            "deviation_floor",
            self.fixed_deviation.is_some() && self.deviation_floor != defaults.deviation_floor,
            "the standard deviation is fixed",
            "a learnt standard deviation",
        );
        ignored(
            "activation",
            self.hidden.is_empty() && self.activation != defaults.activation,
            "a linear decoder has no hidden layer",
            "`hidden` layers",
        );
        ignored(
            "fixed_deviation",
            self.fixed_deviation.is_some() && (bernoulli || self.deviation != Deviation::Shared),
            "only a shared standard deviation of a Gaussian likelihood can be fixed",
            "`deviation = \"shared\"`",
        );
        faults
    }

    /// The model for rows like `train`.
    ///
    /// # Errors
    /// If the likelihood is Bernoulli and a value is neither 0 nor 1.
    pub fn build(&self, train: &Dataset) -> Result<LatentGaussianModel> {
        let columns = train.observed.columns();
        let given = train.given.as_ref().map_or(0, Field::columns);
        if self.likelihood == Likelihood::Bernoulli
            && let Some((at, value)) = train.observed.iter().enumerate().find(|(_, v)| *v != 0.0 && *v != 1.0)
        {
            return Err(Error::Data(format!(
                "a Bernoulli likelihood models 0 and 1, but observed column {} (from 1) holds {value} in training row {}; choose \
                 `likelihood = \"gaussian\"`, or give binary columns without `standardize`",
                at % columns + 1,
                at / columns + 1,
            )));
        }
        let outputs = match (self.likelihood, self.deviation) {
            (Likelihood::Gaussian, Deviation::GivenZ) => 2 * columns,
            _ => columns,
        };
        let inputs = self.latent_dimensions + given;
        let prior = (self.prior == Prior::GivenX)
            .then(|| Perceptron::new(given, &self.hidden, 2 * self.latent_dimensions, self.activation))
            .transpose()?
            .map(|network| network.with_output_scale(0.1));
        Ok(LatentGaussianModel {
            decoder: Perceptron::new(inputs, &self.hidden, outputs, self.activation)?,
            prior,
            columns,
            given,
            deviation_floor: match self.fixed_deviation {
                Some(_) => 0.0,
                None => self.deviation_floor * pooled_deviation(train),
            },
            config: self.clone(),
        })
    }
}

impl Declared for LatentGaussian {
    const NAME: &'static str = "latent_gaussian";
    const SUMMARY: &'static str = "A continuous latent variable: p(x) = ∫ p(x|z) p(z) dz, or p(y|x) = ∫ p(y|x,z) p(z|x) dz. With perceptrons it \
         is the decoder of a variational autoencoder; with linear functions it is probabilistic principal component \
         analysis.";
    const EQUATION: &'static str = "log p(x, z) = log p(z) + log p(x|z), p(x) = ∫ p(x|z) p(z) dz";
    const EXAMPLE: Example<'static> = Example::AMORTISED;
}

impl ModelKind for LatentGaussian {
    fn abilities(&self) -> Abilities {
        let asked = match self.likelihood {
            Likelihood::Bernoulli => Asked::Binary,
            Likelihood::Gaussian => Asked::Varying,
        };
        Abilities {
            density: true,
            conditional: true,
            exact_likelihood: self.is_linear(),
            exact_posterior: self.is_linear(),
            m_step: match self.is_linear() {
                true => MStep::ExactPosterior,
                false => MStep::None,
            },
            learns_prior: self.prior != Prior::StandardNormal,
            has_weight_matrices: true,
            ..Abilities::none(LatentKind::Continuous, asked)
        }
    }

    fn likelihood(&self, is_given: bool) -> LikelihoodKind {
        self.likelihood_kind(is_given)
    }

    fn check(&self, widths: Widths) -> Vec<Fault> {
        Self::check(self, widths)
    }

    fn build(&self, train: &Dataset) -> Result<Box<dyn Model>> {
        Ok(Box::new(Self::build(self, train)?))
    }
}
