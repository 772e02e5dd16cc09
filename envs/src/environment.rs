//! What an environment is: parameters, state and randomness kept apart, so that states can be stepped in batches.
//!
//! The environment itself holds only parameters and never changes; everything that moves is in `State`; random numbers
//! come in by argument.

use rand::Rng;

use crate::Reference;

/// What one step brings.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Step {
    /// Reward of this step, in the environment's own unit.
    pub reward: f64,
    /// The task ended here, so that no value lies beyond: success or failure.
    pub terminated: bool,
    /// Time ran out here, though the task goes on; never together with `terminated`.
    pub truncated: bool,
}

impl Step {
    /// Whether the episode is over, for either reason.
    pub fn over(&self) -> bool {
        self.terminated || self.truncated
    }
}

/// A task stepped by actions.
pub trait Environment: Send + Sync {
    /// Everything that changes during an episode.
    type State: Clone + Send;

    /// Length of an observation.
    fn observation_size(&self) -> usize;

    /// Length of an action.
    fn action_size(&self) -> usize;

    /// Lowest and highest value of each action entry. Actions beyond them are clamped; a NaN ends the episode as a
    /// failure. Where the doc of an environment says that actions are discrete, the value is rounded to a whole number.
    fn action_bounds(&self) -> Vec<(f64, f64)>;

    /// Steps after which an episode is truncated.
    fn horizon(&self) -> usize;

    /// A fresh episode.
    fn reset(&self, rng: &mut dyn Rng) -> Self::State;

    /// Writes the observation of `state` into `into`, `[observation_size]`.
    fn observe(&self, state: &Self::State, into: &mut [f64]);

    /// Moves `state` by one action, `[action_size]`. A state whose episode is over stays as it is, with reward 0.
    fn step(&self, state: &mut Self::State, action: &[f64]) -> Step;

    /// What a score is held against: the best known and the random controller, the unit in the text.
    fn yardsticks(&self) -> Vec<Reference>;
}
