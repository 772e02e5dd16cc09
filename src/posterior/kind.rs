//! Kinds of posteriors: what a table `[posterior]` can name, what each needs of a model, and what its draws are.

use super::amortised::{Amortised, Fit, Phase};
use super::approximate_kalman::{ExtendedKalman, UnscentedKalman};
use super::exact::Exact;
use super::filter::Filter;
use super::hamiltonian::Hamiltonian;
use super::hard::Hard;
use super::importance::{Importance, proposed};
use super::locally_optimal::LocallyOptimal;
use super::particle::Particle;
use super::prior::Prior;
use super::sampled::Sampled;
use super::{Common, Draws, Recognition};
use crate::data::Dataset;
use crate::error::Fault;
use crate::kind::{Added, Chosen, Entry, Family, Holds};
use crate::math::streams::{Generator, Streams};
use crate::model::{Abilities, Joint, LatentKind, Latents, Model, Need};
use crate::nn::Parameters;
use crate::{Error, Result};
use candle_core::Tensor;
use std::fmt::Debug;
use std::sync::Arc;

/// The posteriors of this crate.
pub const KINDS: &[Entry<dyn PosteriorKind>] = &[
    Entry::of::<Exact>(),
    Entry::of::<Sampled>(),
    Entry::of::<Hard>(),
    Entry::of::<Amortised>(),
    Entry::of::<Importance>(),
    Entry::of::<Prior>(),
    Entry::of::<LocallyOptimal>(),
    Entry::of::<Hamiltonian>(),
    Entry::of::<Filter>(),
    Entry::of::<ExtendedKalman>(),
    Entry::of::<UnscentedKalman>(),
    Entry::of::<Particle>(),
];

/// The table `[posterior]`: a kind with its options.
pub type PosteriorConfig = Chosen<dyn PosteriorKind>;

/// The options of a kind of posterior.
pub trait PosteriorKind: Debug + Send + Sync {
    /// The options that every posterior has.
    fn common(&self) -> &Common;

    /// What it needs of a model.
    fn needs(&self) -> &'static [Need];

    /// What is known about it and its draws.
    fn facts(&self) -> Facts;

    /// The recognition network, if there is one.
    fn network(&self) -> Option<Network<'_>> {
        None
    }

    /// Its own approximation of log p(x), if it has one.
    fn approximate_likelihood(&self) -> Option<&dyn ApproximateLikelihood> {
        None
    }

    /// The faults of the options beside a model that can do this.
    fn check(&self, _model: &Abilities) -> Vec<Fault> {
        Vec::new()
    }

    /// Samples for the rows of `joint`, at `step` (for the temperature), drawn by `generator`; a recognition network reads
    /// its φ from `phi`. If the posterior is stale, `joint` is conditioned on the older θ.
    fn draws(&self, joint: &dyn Joint, phi: &Parameters, step: u64, generator: &mut Generator) -> Result<Draws>;
}

/// What is known about a posterior before it sees a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Whether it is the true posterior of the θ that it sees.
    pub is_exact: bool,
    /// Whether its samples depend on a stream of random numbers.
    pub is_drawn: bool,
    /// Whether some of its options give it a recognition network.
    pub may_have_network: bool,
    /// Whether every draw is a whole Markov chain, with an acceptance rate.
    pub has_acceptance_rate: bool,
    /// Whether its paths of states come with a distribution of one state after another, which can move particles.
    pub is_stepwise: bool,
    /// The number of samples per row, if the options say it.
    pub samples: Option<usize>,
    /// The distribution of its draws.
    pub draws: DrawsOf,
    /// Why a temperature changes nothing, if it does not.
    pub without_temperature: Option<&'static str>,
}

impl Facts {
    /// A posterior that is neither exact nor drawn, and gives weighted values of a known density.
    pub const PLAIN: Self = Self {
        is_exact: false,
        is_drawn: false,
        may_have_network: false,
        has_acceptance_rate: false,
        is_stepwise: false,
        samples: None,
        draws: DrawsOf::WEIGHTED,
        without_temperature: None,
    };
}

/// The distribution that draws come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrawsOf {
    /// A distribution with a known density; for these latents the draws are independent and equally weighted.
    Known {
        /// Of a finite latent.
        finite: bool,
        /// Of a continuous latent.
        continuous: bool,
        /// Of paths of states.
        paths: bool,
    },
    /// A proposal of paths, with a known density: independent, and far from the posterior until they are weighed.
    Proposal,
    /// A distribution without a tractable density, for this reason.
    Unknown(&'static str),
}

impl DrawsOf {
    /// A known density; the draws are weighted values, or dependent.
    pub const WEIGHTED: Self = Self::Known {
        finite: false,
        continuous: false,
        paths: false,
    };

    /// Whether the draws are independent, equally weighted and of known density.
    pub fn are_independent(self, latent: LatentKind) -> bool {
        match (self, latent) {
            (Self::Known { finite, .. }, LatentKind::None | LatentKind::Finite) => finite,
            (Self::Known { continuous, .. }, LatentKind::Continuous) => continuous,
            (Self::Known { paths, .. }, LatentKind::Trajectory) => paths,
            (Self::Proposal, LatentKind::Trajectory) => true,
            _ => false,
        }
    }
}

/// A recognition network and its training.
#[derive(Debug, Clone, Copy)]
pub struct Network<'a> {
    /// The architecture.
    pub recognition: Recognition<'a>,
    /// What φ maximises.
    pub fit: Fit,
    /// Where the pairs of `forward_kl` come from.
    pub phase: Phase,
}

/// The capability of a posterior to approximate log p(x), as approximate Kalman filters do.
pub trait ApproximateLikelihood {
    /// The approximation of `log p(x)`, in nats. `[B]`
    fn log_prob(&self, joint: &dyn Joint) -> Result<Tensor>;
}

impl Family for dyn PosteriorKind {
    const SCHEMA: &'static str = "PosteriorConfig";
    const SUMMARY: &'static str = "The table `[posterior]`.";

    fn built_in() -> &'static [Entry<Self>] {
        KINDS
    }

    fn added() -> &'static Added<Self> {
        static ADDED: Added<dyn PosteriorKind> = Added::new(Vec::new());
        &ADDED
    }
}

impl<T: PosteriorKind + 'static> Holds<T> for dyn PosteriorKind {
    fn hold(options: T) -> Arc<Self> {
        Arc::new(options)
    }
}

impl Default for Chosen<dyn PosteriorKind> {
    fn default() -> Self {
        Self::of_default::<Exact>()
    }
}

impl Chosen<dyn PosteriorKind> {
    /// Adds initial values of φ beside θ, for rows like `train`, where there is a network.
    pub fn initial(
        &self,
        model: &dyn Model,
        train: &Dataset,
        streams: &Streams,
        parameters: &mut Parameters,
    ) -> Result<()> {
        match self.network() {
            Some(Network { recognition, .. }) => recognition.initial(model, train, streams, parameters),
            None => Ok(()),
        }
    }

    /// Sets the entries of φ that follow a schedule to their values after this share of training.
    pub fn schedule(&self, parameters: &Parameters, share: f64) -> Result<()> {
        match self.network() {
            Some(Network { recognition, .. }) => recognition.sequence.schedule(parameters, share),
            None => Ok(()),
        }
    }

    /// The share of training after which those entries are constant; 0 if there are none.
    pub fn schedule_ends(&self) -> f64 {
        let network = self.network();
        network.map_or(0.0, |network| network.recognition.sequence.schedule_ends())
    }

    /// `log q_φ(z|x)` at constant latents, with a gradient for φ; an error without a network. `[B, S]`
    pub fn log_q(&self, joint: &dyn Joint, phi: &Parameters, latents: &Latents) -> Result<Tensor> {
        let network = self.network().ok_or(Error::Lacking("a recognition network"))?;
        let q = network.recognition.apply(joint, phi)?;
        super::recognition::log_q(q.as_ref(), &latents.detached())
    }

    /// `samples` draws for each row from the network if there is one, else from p(z), equally weighted, with their log q:
    /// for bounds of log p(x). No gradient reaches them.
    pub fn proposal(
        &self,
        joint: &dyn Joint,
        phi: &Parameters,
        samples: usize,
        generator: &mut Generator,
    ) -> Result<Draws> {
        let recognition = self.network().map(|network| network.recognition);
        let (latents, log_q) = proposed(recognition, joint, phi, samples, generator)?;
        Draws::equal(latents, log_q.detach())
    }

    /// Whether this is the true posterior of the current θ, without options.
    pub fn is_exact_and_fresh(&self) -> bool {
        self.facts().is_exact && *self.common() == Common::default()
    }

    /// The faults of this table beside a model that can do this.
    pub fn faults(&self, model: &Abilities) -> Vec<Fault> {
        let mut faults = self.common().temperature.check("temperature");
        faults.extend(self.check(model));
        faults
    }
}
