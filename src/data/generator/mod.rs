//! Generators of data as kinds of the registry: what `[data] source = "…"` can name, with its keys.
//!
//! The generators are structs of `envs/`. A file here declares each of them ([`Declared`](crate::kind::Declared)), and one
//! line of the registry lists it. Everything else asks the registry.

mod demonstrations;
mod exploration;
mod gaussian_blob;
mod growth;
mod inverse_sinusoid;
mod krishnan_linear;
mod krishnan_nonlinear;
mod lgssm;
mod linear_gaussian;
mod lorenz;
mod mixture_of_twenty;
mod piano_roll;
mod ring;
mod three_clusters;
mod tree;
mod two_moons;

pub use demonstrations::Demonstrations;
pub use exploration::Exploration;

use crate::environment::EnvironmentKind;
use crate::error::Fault;
use crate::kind::{Added, Chosen, Entry, Family, Holds};
use crate::math::nonlinear::Predictor;
use latent_lab_envs as envs;
use rand::Rng;
use std::fmt::Debug;
use std::sync::Arc;

/// The generators of this crate, in the order in which they are listed.
pub const KINDS: &[Entry<dyn GeneratorKind>] = &[
    Entry::of::<envs::GaussianBlob>(),
    Entry::of::<envs::LinearGaussian>(),
    Entry::of::<envs::ThreeClusters>(),
    Entry::of::<envs::InverseSinusoid>(),
    Entry::of::<envs::MixtureOfTwenty>(),
    Entry::of::<envs::Ring>(),
    Entry::of::<envs::TwoMoons>(),
    tree::ENTRY,
    Entry::of::<Demonstrations>(),
    Entry::of::<Exploration>(),
    Entry::of::<envs::Lgssm>(),
    Entry::of::<envs::Growth>(),
    Entry::of::<envs::KrishnanLinear>(),
    Entry::of::<envs::KrishnanNonlinear>(),
    Entry::of::<envs::Lorenz>(),
    Entry::of::<envs::PianoRoll>(),
];

/// A generator with its keys, and what this crate knows about its process.
pub trait GeneratorKind: envs::Generator + Debug {
    /// The state space that it draws from, in the data's units, and the method that predicts with it; none if it draws from
    /// another process, or no method is known.
    fn truth(&self) -> Option<Predictor> {
        None
    }

    /// Its own values of the parameters that models name, by their names.
    fn parameters(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// The environment that its rows are demonstrations of, with its settings. `train` and `test` then count demonstrations,
    /// of several rows each.
    fn environment(&self) -> Option<Chosen<dyn EnvironmentKind>> {
        None
    }

    /// The environment that its rows explore, with its settings.
    fn explored(&self) -> Option<Chosen<dyn EnvironmentKind>> {
        None
    }

    /// Draws `rows` rows, as [`draw`](envs::Generator::draw) does.
    ///
    /// # Errors
    /// Why an environment outside this program could not go on.
    fn try_draw(&self, rows: usize, rng: &mut dyn Rng) -> Result<envs::Points, String> {
        Ok(self.draw(rows, rng))
    }

    /// Whether its observed columns are 0 and 1.
    fn is_binary(&self) -> bool {
        false
    }

    /// A key without effect beside the others.
    fn unused(&self) -> Option<Fault> {
        None
    }
}

impl Family for dyn GeneratorKind {
    const TAG: &'static str = "source";
    const SCHEMA: &'static str = "Generator";
    const SUMMARY: &'static str = "A generator.";

    fn built_in() -> &'static [Entry<Self>] {
        KINDS
    }

    fn added() -> &'static Added<Self> {
        static ADDED: Added<dyn GeneratorKind> = Added::new(Vec::new());
        &ADDED
    }
}

impl<T: GeneratorKind + 'static> Holds<T> for dyn GeneratorKind {
    fn hold(options: T) -> Arc<Self> {
        Arc::new(options)
    }
}
