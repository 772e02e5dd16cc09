//! The trait of environments. Parameters, state and randomness are separate, so states can be stepped in batches.
//!
//! The environment holds only parameters and never changes. Everything that changes is in `State`. Random numbers come
//! from an argument. What an environment declares (success, routes, an expert, images, scores) is a required method:
//! "none" is written down, never assumed.

use rand::Rng;

use crate::{Images, Reference};

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

/// The unit of a reward that is 1 for every step in the goal, and 0 for every other.
pub const STEPS_IN_GOAL: &str = "steps in the goal";

/// One number of an action.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Control {
    /// Its name in snake case, as the columns of demonstrations have it.
    pub name: &'static str,
    /// The lowest value; lower ones are clamped.
    pub low: f64,
    /// The highest value; higher ones are clamped.
    pub high: f64,
}

/// Scores to compare a controller with. A list is empty if no such score is known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Yardsticks {
    /// Mean returns: `oracle` is the best known, `random` that of uniform actions.
    pub returns: Vec<Reference>,
    /// Shares of successful episodes, by the same names.
    pub success_rates: Vec<Reference>,
}

/// The controller of one episode, with its own memory: from an observation and random numbers to an action.
pub type Controller<'a> = Box<dyn FnMut(&[f64], &mut dyn Rng) -> Vec<f64> + Send + 'a>;

/// A scripted controller that solves the task.
pub trait Expert: Send + Sync {
    /// A controller for a new episode; whatever it decides once per episode is drawn from `rng`.
    fn begin<'a>(&'a self, rng: &mut dyn Rng) -> Controller<'a>;
}

/// A task controlled by actions.
pub trait Environment: Send + Sync {
    /// Everything that changes during an episode.
    type State: Clone + Send;

    /// The first fault that the ranges of single keys do not cover: the key in backquotes, what is expected, what came,
    /// what to try. The other methods are meaningful only if there is none; they never panic.
    fn fault(&self) -> Option<String>;

    /// The names of the numbers of an observation, in snake case, as the columns of demonstrations have them.
    fn observation(&self) -> Vec<&'static str>;

    /// The numbers of an action. Values beyond the bounds are clamped; a NaN ends the episode as a failure. If the
    /// environment's documentation says that actions are discrete, a value is rounded to a whole number.
    fn action(&self) -> Vec<Control>;

    /// Steps after which an episode is truncated.
    fn horizon(&self) -> usize;

    /// The unit of the reward, such as "points" or "steps".
    fn reward_unit(&self) -> &'static str;

    /// What a successful episode is, in words; none if the environment has only rewards.
    fn success_rule(&self) -> Option<&'static str>;

    /// Whether `state` is a success; none if and only if there is no [`success_rule`](Self::success_rule). The end of the
    /// time limit alone is no success.
    fn success(&self, state: &Self::State) -> Option<bool>;

    /// The names of the ways in which the task can be solved; empty if they are not told apart.
    fn routes(&self) -> Vec<&'static str>;

    /// The index into [`routes`](Self::routes) of the way that `state` has taken; none if it has taken none yet.
    fn route(&self, state: &Self::State) -> Option<usize>;

    /// A scripted controller that solves the task; none if nobody has written one.
    fn expert(&self) -> Option<&dyn Expert>;

    /// How its states look and how data are collected; none if it has no images.
    fn images(&self) -> Option<&dyn Images<State = Self::State>>;

    /// Scores to compare with.
    fn yardsticks(&self) -> Yardsticks;

    /// A fresh episode.
    fn reset(&self, rng: &mut dyn Rng) -> Self::State;

    /// Writes the observation of `state` into `into`, as long as [`observation`](Self::observation).
    fn observe(&self, state: &Self::State, into: &mut [f64]);

    /// Moves `state` by one action, as long as [`action`](Self::action). A state whose episode is over does not change,
    /// and its reward is 0.
    fn step(&self, state: &mut Self::State, action: &[f64]) -> Step;

    /// The cost of the step that reached `state`, for planners that know the true state: where the reward says only
    /// whether a goal is reached, a smoother number that says how far it is. Minus the reward without one.
    fn planning_cost(&self, _state: &Self::State, step: Step) -> f64 {
        -step.reward
    }

    /// Length of an observation.
    fn observation_size(&self) -> usize {
        self.observation().len()
    }

    /// Length of an action.
    fn action_size(&self) -> usize {
        self.action().len()
    }
}
