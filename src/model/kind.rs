//! Kinds of models: what a table `[model]` can name, and what each can do.

use super::{
    LikelihoodKind, Model, conditional_mixture, gaussian, gaussian_mixture, latent_gaussian, linear_gaussian,
    linear_gaussian_ssm, neural_ssm, nonlinear_gaussian_ssm,
};
use crate::Result;
use crate::data::file::Asked;
use crate::data::{Dataset, source::Widths};
use crate::error::Fault;
use crate::kind::{self, Added, Chosen, Entry, Family, Holds};
use std::fmt::Debug;
use std::sync::Arc;

/// The models of this crate.
pub const KINDS: &[Entry<dyn ModelKind>] = &[
    Entry::of::<gaussian::Gaussian>(),
    Entry::of::<linear_gaussian::LinearGaussian>(),
    Entry::of::<gaussian_mixture::GaussianMixture>(),
    Entry::of::<conditional_mixture::ConditionalMixture>(),
    Entry::of::<latent_gaussian::LatentGaussian>(),
    Entry::of::<linear_gaussian_ssm::LinearGaussianSsm>(),
    Entry::of::<nonlinear_gaussian_ssm::NonlinearGaussianSsm>(),
    Entry::of::<neural_ssm::NeuralSsm>(),
];

/// The table `[model]`: a kind with its options.
pub type ModelConfig = Chosen<dyn ModelKind>;

/// The options of a kind of model.
pub trait ModelKind: Debug + Send + Sync {
    /// What a model with these options can do.
    fn abilities(&self) -> Abilities;

    /// How log p(x) is computed; `is_given` says whether there are given columns.
    fn likelihood(&self, is_given: bool) -> LikelihoodKind;

    /// The faults of the options for data with these numbers of columns.
    fn check(&self, widths: Widths) -> Vec<Fault>;

    /// The model for `train`; its floors are relative to the standard deviations of these rows.
    fn build(&self, train: &Dataset) -> Result<Box<dyn Model>>;
}

impl Family for dyn ModelKind {
    const SCHEMA: &'static str = "ModelConfig";
    const SUMMARY: &'static str = "The table `[model]`.";

    fn built_in() -> &'static [Entry<Self>] {
        KINDS
    }

    fn added() -> &'static Added<Self> {
        static ADDED: Added<dyn ModelKind> = Added::new(Vec::new());
        &ADDED
    }
}

impl<T: ModelKind + 'static> Holds<T> for dyn ModelKind {
    fn hold(options: T) -> Arc<Self> {
        Arc::new(options)
    }
}

/// The kind of latent variable that a model has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatentKind {
    /// None: a finite latent with a single value.
    None,
    /// One of several values, which can be enumerated.
    Finite,
    /// A point of real numbers for each row.
    Continuous,
    /// A trajectory for each sequence.
    Trajectory,
}

/// The latent variable of a mixture of `components`.
pub(super) fn latent_of(components: usize) -> LatentKind {
    match components {
        1 => LatentKind::None,
        _ => LatentKind::Finite,
    }
}

/// The posteriors under which a model's M-step is in closed form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MStep {
    /// There is no closed form.
    None,
    /// The exact posterior only.
    ExactPosterior,
    /// Every posterior.
    AnyPosterior,
}

/// What a model can do. The combinations with posteriors and objectives follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// Models p(x), without given columns.
    pub density: bool,
    /// Models p(y|x).
    pub conditional: bool,
    /// Its latent variable.
    pub latent: LatentKind,
    /// The dimensions of a trajectory's states, X; none for other latents.
    pub states: Option<usize>,
    /// log p(x) has a closed form that can be maximised.
    pub exact_likelihood: bool,
    /// p(z|x) is known in closed form.
    pub exact_posterior: bool,
    /// It is a state space with constant Gaussian noise, whose joint is evaluated at beliefs over trajectories.
    pub state_space: bool,
    /// Its joint is evaluated at paths, with gradients, and hands out the state space as tensors.
    pub paths: bool,
    /// Its joint hands out paths, and p(x_{t+1} | x_t, u_t) is a linear Gaussian of constant noise.
    pub linear_transition: bool,
    /// Its joint hands out paths, and p(o|x) is a linear Gaussian of constant noise.
    pub linear_emission: bool,
    /// How many of the observed columns, counted from the last, are rewards.
    pub rewards: usize,
    /// E\[y|x\] has a closed form.
    pub mean: bool,
    /// The closed-form M-step.
    pub m_step: MStep,
    /// Its requirement on observed values.
    pub asked: Asked,
    /// Whether all starts of EM give the same result, unless the posterior is sampled.
    pub has_one_start: bool,
    /// Whether p(z) has learnt parameters; for sequences, p(x_1 … x_T).
    pub learns_prior: bool,
    /// Whether any of its parameters is a weight matrix, as weight decay sees them.
    pub has_weight_matrices: bool,
    /// Whether [`Model::named`] names any parameter.
    pub has_named_parameters: bool,
}

impl Abilities {
    /// No ability at all, with this latent variable and this requirement on observed values: a kind adds what it can do.
    pub const fn none(latent: LatentKind, asked: Asked) -> Self {
        Self {
            density: false,
            conditional: false,
            latent,
            states: None,
            exact_likelihood: false,
            exact_posterior: false,
            state_space: false,
            paths: false,
            linear_transition: false,
            linear_emission: false,
            rewards: 0,
            mean: false,
            m_step: MStep::None,
            asked,
            has_one_start: false,
            learns_prior: false,
            has_weight_matrices: false,
            has_named_parameters: false,
        }
    }

    /// Whether the latent variable can be enumerated.
    pub fn is_finite(&self) -> bool {
        matches!(self.latent, LatentKind::None | LatentKind::Finite)
    }

    /// Whether the model is one of sequences.
    pub fn is_sequential(&self) -> bool {
        self.latent == LatentKind::Trajectory
    }

    /// Whether the model has no latent variable.
    pub fn has_no_latent(&self) -> bool {
        self.latent == LatentKind::None
    }

    /// Whether it models columns of 0 and 1.
    pub fn is_binary(&self) -> bool {
        self.asked == Asked::Binary
    }

    /// Whether it provides what is needed.
    pub fn has(&self, need: Need) -> bool {
        match need {
            Need::Conditional => self.conditional,
            Need::Mean => self.mean,
            Need::ExactLikelihood => self.exact_likelihood,
            Need::ExactPosterior => self.exact_posterior,
            Need::FiniteLatent => self.is_finite(),
            Need::ContinuousLatent => self.latent == LatentKind::Continuous,
            Need::Trajectory => self.state_space,
            Need::Paths => self.paths,
            Need::LinearEmission => self.linear_emission,
            Need::Rows => !self.is_sequential(),
            Need::Network => !self.is_sequential() || self.paths,
        }
    }
}

/// What a posterior or an objective needs of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// p(y|x).
    Conditional,
    /// E\[y|x\] in closed form.
    Mean,
    /// log p(x) in closed form.
    ExactLikelihood,
    /// p(z|x) in closed form.
    ExactPosterior,
    /// A latent that can be enumerated.
    FiniteLatent,
    /// A point of real numbers for each row.
    ContinuousLatent,
    /// A state space with constant Gaussian noise, evaluated at beliefs over trajectories.
    Trajectory,
    /// A state space evaluated at paths, with gradients.
    Paths,
    /// Paths, with a linear Gaussian emission.
    LinearEmission,
    /// Independent rows.
    Rows,
    /// Rows, or paths with gradients: latents that a network can infer.
    Network,
}

impl Need {
    /// Why `who` cannot be combined with a model without this.
    pub fn reason(self, who: &str) -> String {
        match self {
            Self::Conditional => format!("`{who}` compares y with E[y|x], and this model is a density"),
            Self::Mean => format!("`{who}` compares y with E[y|x], which has no closed form in this model"),
            Self::ExactLikelihood => format!("`{who}` maximises log p(x), which has no closed form in this model"),
            Self::ExactPosterior => {
                format!("`{who}` needs the true posterior, which has no closed form in this model")
            }
            Self::FiniteLatent => {
                format!("`{who}` needs a latent variable with finitely many values, and this model has none")
            }
            Self::ContinuousLatent => {
                format!("`{who}` needs a continuous latent variable with a gradient, and this model has none")
            }
            Self::Trajectory => {
                format!("`{who}` needs a state space with constant Gaussian noise, and this model is none")
            }
            Self::LinearEmission => {
                format!(
                    "`{who}` needs paths of states and a linear Gaussian emission of constant noise, and this model has none"
                )
            }
            Self::Paths => format!("`{who}` needs paths of states with gradients, and this model has none"),
            Self::Network => {
                format!("`{who}` infers latents by a network, and the trajectories of this model have no gradient")
            }
            Self::Rows => format!("`{who}` is a posterior of independent rows, and this model is one of sequences"),
        }
    }
}

impl Chosen<dyn ModelKind> {
    /// The faults of this table for data with these numbers of columns.
    pub fn faults(&self, widths: Widths) -> Vec<Fault> {
        let mut faults = self.check(widths);
        let abilities = self.abilities();
        if abilities.is_sequential() {
            return faults;
        }
        if !abilities.density && widths.given == 0 {
            faults.push(Fault::new(
                "kind",
                "this model is conditional, p(y|x), but the data give no x",
                "data with given columns",
                format!(
                    "add `given` to a file source, choose a generator with given columns, or a density model ({})",
                    row_models_that(|other| other.density).join(", ")
                ),
            ));
        }
        if !abilities.conditional && widths.given > 0 {
            faults.push(Fault::new(
                "kind",
                "this model is a density, p(x), but the data give columns to condition on",
                "a conditional model",
                format!(
                    "choose a conditional model ({}), or list the columns under `observed`",
                    row_models_that(|other| other.conditional).join(", ")
                ),
            ));
        }
        faults
    }
}

/// The models of independent rows that with their default options can do this.
pub fn row_models_that(can: impl Fn(Abilities) -> bool) -> Vec<String> {
    kind::names_where::<dyn ModelKind>(|kind| !kind.abilities().is_sequential() && can(kind.abilities()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without a stated ability a model provides what its latent variable is, and nothing else.
    #[test]
    fn a_model_that_states_nothing_can_do_nothing() {
        use LatentKind::{Continuous, Finite, Trajectory};
        const NEEDS: [Need; 11] = [
            Need::Conditional,
            Need::Mean,
            Need::ExactLikelihood,
            Need::ExactPosterior,
            Need::FiniteLatent,
            Need::ContinuousLatent,
            Need::Trajectory,
            Need::Paths,
            Need::LinearEmission,
            Need::Rows,
            Need::Network,
        ];
        for latent in [LatentKind::None, Finite, Continuous, Trajectory] {
            let abilities = Abilities::none(latent, Asked::Varying);
            assert!(!abilities.density && !abilities.conditional && abilities.m_step == MStep::None);
            for need in NEEDS {
                let follows = match need {
                    Need::FiniteLatent => latent != Continuous && latent != Trajectory,
                    Need::ContinuousLatent => latent == Continuous,
                    Need::Rows | Need::Network => latent != Trajectory,
                    _ => false,
                };
                assert_eq!(abilities.has(need), follows, "{latent:?}: {need:?}");
            }
        }
    }
}
