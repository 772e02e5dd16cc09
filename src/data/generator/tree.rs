//! `tree` as a source of data. The keys are those of the environment of the same name.

use super::GeneratorKind;
use crate::environment::EnvironmentKind;
use crate::kind::{Chosen, Entry, Example};
use latent_lab_envs::Tree;

/// The environment is another kind of this type, so the generator has words of its own.
pub(super) const ENTRY: Entry<dyn GeneratorKind> = Entry::of::<Tree>().with_words(
    "Demonstrations of driving past a tree, on either side.",
    Example {
        data: "source = \"tree\"\ntrain = 200",
        model: "kind = \"conditional_mixture\"\ncomponents = 3",
        ..Example::USUAL
    },
);

impl GeneratorKind for Tree {
    fn environment(&self) -> Option<Chosen<dyn EnvironmentKind>> {
        Chosen::new(self.clone()).ok()
    }
}
