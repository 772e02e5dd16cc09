//! The trait of environments. Parameters, state and randomness are separate, so states can be stepped in batches.
//!
//! The environment holds only parameters and never changes. Everything that changes is in `State`. Random numbers come
//! from an argument.

use rand::Rng;

use crate::Reference;

/// The result of one step.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Step {
    /// Reward of this step, in the environment's unit.
    pub reward: f64,
    /// The task ended here, in success or failure; no reward can follow.
    pub terminated: bool,
    /// The time limit ended the episode, not the task; never together with `terminated`.
    pub truncated: bool,
}

impl Step {
    /// Whether the episode is over, terminated or truncated.
    pub fn over(&self) -> bool {
        self.terminated || self.truncated
    }
}

/// A task controlled by actions.
pub trait Environment: Send + Sync {
    /// Everything that changes during an episode.
    type State: Clone + Send;

    /// Length of an observation.
    fn observation_size(&self) -> usize;

    /// Length of an action.
    fn action_size(&self) -> usize;

    /// Lowest and highest value of each action entry. Actions beyond them are clamped; a NaN ends the episode as a
    /// failure. If the environment's documentation says that actions are discrete, the value is rounded to a whole
    /// number.
    fn action_bounds(&self) -> Vec<(f64, f64)>;

    /// Steps after which an episode is truncated.
    fn horizon(&self) -> usize;

    /// A fresh episode.
    fn reset(&self, rng: &mut dyn Rng) -> Self::State;

    /// Writes the observation of `state` into `into`, `[observation_size]`.
    fn observe(&self, state: &Self::State, into: &mut [f64]);

    /// Moves `state` by one action, `[action_size]`. A state whose episode is over does not change, and its reward is
    /// 0.
    fn step(&self, state: &mut Self::State, action: &[f64]) -> Step;

    /// Values to compare a score with: the best known and the random controller. The text states the unit.
    fn yardsticks(&self) -> Vec<Reference>;
}
