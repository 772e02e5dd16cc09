//! The steps of an episode that ends by a time limit or by an invalid action.

use crate::Step;

/// Steps taken, and how the episode ended.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Clock {
    /// Steps taken.
    pub steps: usize,
    /// How the last step ended the episode, if it did; its reward is 0.
    pub ending: Option<Step>,
}

impl Clock {
    /// Counts one step of an episode of `horizon` steps with this reward. Without a reward the action was invalid, and
    /// the episode ends as a failure.
    pub fn count(&mut self, reward: Option<f64>, horizon: usize) -> Step {
        self.steps += 1;
        let step = Step {
            reward: reward.unwrap_or(0.0),
            terminated: reward.is_none(),
            truncated: reward.is_some() && self.steps >= horizon,
        };
        self.ending = step.over().then_some(Step { reward: 0.0, ..step });
        step
    }

    /// Whether an invalid action ended the episode.
    pub fn has_failed(&self) -> bool {
        self.ending.is_some_and(|ending| ending.terminated)
    }
}

/// The numbers of an action between −`bound` and `bound`; none if one of them is NaN or missing.
pub fn clamped<const N: usize>(action: &[f64], bound: f64) -> Option<[f64; N]> {
    let action = action.first_chunk::<N>()?;
    let is_valid = action.iter().all(|u| !u.is_nan());
    is_valid.then(|| action.map(|u| u.clamp(-bound, bound)))
}
