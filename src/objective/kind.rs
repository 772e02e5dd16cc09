//! Kinds of objectives: what a table `[objective]` can name, and what each needs of a model and of a posterior.

use super::Elbo;
use super::expected_log_likelihood::ExpectedLogLikelihood;
use super::fivo::Fivo;
use super::iwae::Iwae;
use super::marginal_likelihood::MarginalLikelihood;
use super::mean_squared_error::MeanSquaredError;
use crate::Result;
use crate::error::Fault;
use crate::kind::{Added, Chosen, Entry, Family, Holds};
use crate::model::{Abilities, Joint, Need};
use crate::posterior::{Draws, Fit};
use candle_core::Tensor;
use std::fmt::Debug;
use std::sync::Arc;

/// The objectives of this crate.
pub const KINDS: &[Entry<dyn ObjectiveKind>] = &[
    Entry::of::<MarginalLikelihood>(),
    Entry::of::<ExpectedLogLikelihood>(),
    Entry::of::<Elbo>(),
    Entry::of::<Iwae>(),
    Entry::of::<Fivo>(),
    Entry::of::<MeanSquaredError>(),
];

/// The table `[objective]`: a kind with its options.
pub type ObjectiveConfig = Chosen<dyn ObjectiveKind>;

/// The options of a kind of objective.
pub trait ObjectiveKind: Debug + Send + Sync {
    /// What it needs of a model.
    fn needs(&self) -> &'static [Need];

    /// What it needs of a posterior.
    fn posterior_use(&self) -> PosteriorUse;

    /// Whether it is what EM maximises: the expected log-likelihood.
    fn is_of_em(&self) -> bool;

    /// The unit of its value.
    fn unit(&self) -> &'static str;

    /// Whether its mean over draws of the exact posterior is its value under the exact posterior.
    fn is_unbiased(&self) -> bool;

    /// The value for each row of `joint` at `step`; `draws` is called at most once. `[B]`
    fn evaluate(&self, joint: &dyn Joint, step: u64, draws: &mut dyn FnMut() -> Result<Draws>) -> Result<Tensor>;

    /// The evidence lower bound that φ maximises under `fit = "reverse_kl"`: the plain one, or the objective's own with its
    /// β, warm-up and free nats.
    fn elbo(&self) -> Elbo {
        Elbo::default()
    }

    /// Whether its gradient in θ equals that of [`ObjectiveKind::elbo`] on the same draws: one backward pass then trains
    /// θ and φ.
    fn shares_gradient_with_elbo(&self) -> bool {
        false
    }

    /// The gradient of φ under `fit = "objective"`, if it is not that of the value.
    fn surrogate(&self) -> Option<&dyn Surrogate> {
        None
    }

    /// The particles of its filter and how their ancestors are drawn, if it runs one.
    fn particles(&self) -> Option<(usize, &'static str)> {
        None
    }

    /// Its schedule, if it has one: what it is, its key, and the step at which it ends.
    fn schedule(&self) -> Option<(&'static str, &'static str, u64)> {
        None
    }

    /// Keys that would change nothing in this setting.
    fn unused(&self, _setting: &Setting) -> Vec<Fault> {
        Vec::new()
    }
}

/// The capability of an objective to give φ a gradient that is not that of its value.
pub trait Surrogate {
    /// A function with this gradient. `[B]`
    fn value(&self, joint: &dyn Joint, draws: &Draws) -> Result<Tensor>;
}

/// What an objective needs of a posterior.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PosteriorUse {
    /// Nothing: the posterior is ignored.
    None,
    /// Weighted draws.
    Draws,
    /// Weighted draws of a distribution with a known density.
    KnownDensity,
    /// Independent, equally weighted draws of a distribution with a known density.
    IndependentDraws,
    /// Independent draws of paths, with a distribution of one state after another.
    Stepwise,
}

/// What an objective is combined with.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// What the model can do.
    pub model: &'a Abilities,
    /// What the recognition network maximises, if there is one.
    pub fit: Option<Fit>,
    /// Whether the posterior's paths come with a distribution of one state after another.
    pub is_stepwise: bool,
}

impl Setting<'_> {
    /// The fault of a key of the latent variable beside a model without one.
    pub fn no_latent(&self, key: &str) -> Fault {
        Fault::unused(
            key,
            "a model of one component has no latent variable",
            "a mixture of at least 2 components",
        )
    }
}

impl Family for dyn ObjectiveKind {
    const SCHEMA: &'static str = "ObjectiveConfig";
    const SUMMARY: &'static str = "The table `[objective]`.";

    fn built_in() -> &'static [Entry<Self>] {
        KINDS
    }

    fn added() -> &'static Added<Self> {
        static ADDED: Added<dyn ObjectiveKind> = Added::new(Vec::new());
        &ADDED
    }
}

impl<T: ObjectiveKind + 'static> Holds<T> for dyn ObjectiveKind {
    fn hold(options: T) -> Arc<Self> {
        Arc::new(options)
    }
}

impl Default for Chosen<dyn ObjectiveKind> {
    fn default() -> Self {
        Self::of_default::<ExpectedLogLikelihood>()
    }
}

impl dyn ObjectiveKind + '_ {
    /// Whether it is a function of the posterior's draws; other objectives ignore the posterior.
    pub fn needs_posterior(&self) -> bool {
        self.posterior_use() != PosteriorUse::None
    }

    /// The value for each row of `joint` at `step`; `draws` is called once, if needed. `[B]`
    pub fn value(&self, joint: &dyn Joint, step: u64, draws: impl FnOnce() -> Result<Draws>) -> Result<Tensor> {
        let mut draws = Some(draws);
        self.evaluate(joint, step, &mut || match draws.take() {
            Some(draws) => draws(),
            None => Err(crate::Error::Lacking("draws twice for one value of an objective")),
        })
    }
}
