//! What the worker says about an environment before the first episode, and the faults that are found by then.

use super::{Control, Gymnasium, Process};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The description of an environment.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Description {
    /// O, the numbers of a flattened observation.
    pub observation: usize,
    /// The numbers of an action.
    pub action: Actions,
    /// Steps after which an episode is truncated.
    pub horizon: usize,
    /// The versions of Python, gymnasium and numpy.
    pub software: BTreeMap<String, String>,
}

/// The numbers of an action, with their bounds `[A]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Actions {
    /// Whether it is the number of one of several actions.
    pub discrete: bool,
    pub low: Vec<f64>,
    pub high: Vec<f64>,
}

/// The first line of the worker.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Greeting {
    Fault { fault: Cause, text: String },
    Known(Known),
}

/// A [`Description`] that may lack a time limit.
#[derive(Deserialize)]
pub(super) struct Known {
    observation: usize,
    action: Actions,
    horizon: Option<usize>,
    software: BTreeMap<String, String>,
}

/// Why there is no description.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cause {
    Import,
    Make,
    Observation,
    Action,
    Unbounded,
}

impl Greeting {
    /// The description.
    ///
    /// # Errors
    /// Why latent-lab cannot use the environment, and what to do.
    pub fn read(self, asked: &Gymnasium) -> Result<Description, String> {
        let (id, python) = (&asked.id, &asked.python);
        let (fault, text) = match self {
            Self::Fault { fault, text } => (fault, text),
            Self::Known(known) => {
                let missing = || format!("`{id}` has no time limit: set `episode_length`, the steps of an episode");
                return Ok(Description {
                    observation: known.observation,
                    action: known.action,
                    horizon: known.horizon.ok_or_else(missing)?,
                    software: known.software,
                });
            }
        };
        Err(match fault {
            Cause::Import => format!(
                "the interpreter `{python}` cannot import gymnasium ({text}): install it with `pip install gymnasium`, in a \
                 virtual environment for example, and name its interpreter by `python = \"venv/bin/python\"`"
            ),
            Cause::Make => format!("gymnasium cannot make `{id}`: {text}"),
            Cause::Observation => format!(
                "`{id}` has observations in {text}: latent-lab takes a Box of any shape; gymnasium.wrappers.FlattenObservation \
                 makes one of the other spaces"
            ),
            Cause::Action => format!(
                "`{id}` has actions in {text}: latent-lab takes a Box of real numbers in one dimension, or Discrete"
            ),
            Cause::Unbounded => format!(
                "`{id}` has actions in {text}: latent-lab takes actions between finite bounds; \
                 gymnasium.wrappers.RescaleAction or an action space of your own sets them"
            ),
        })
    }
}

impl Description {
    /// The description of the environment with these settings, asked once for each: or its fault.
    pub fn of(asked: &Gymnasium) -> Result<&'static Self, String> {
        type Answer = OnceLock<Result<&'static Description, String>>;
        static KNOWN: OnceLock<Mutex<HashMap<String, Arc<Answer>>>> = OnceLock::new();
        let known = KNOWN.get_or_init(Mutex::default);
        let key = serde_json::to_string(asked).map_err(|error| error.to_string())?;
        let answer = Arc::clone(
            known
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(key)
                .or_default(),
        );
        // As long-lived as the table, which keeps one for each setting.
        let ask = || Process::start(asked).map(|(_, description)| &*Box::leak(Box::new(description)));
        answer.get_or_init(ask).clone()
    }

    /// The numbers of an action. The number of a discrete action has half a step more on both sides, so that uniformly drawn
    /// numbers are rounded to all actions equally often.
    pub fn controls(&self) -> Vec<Control> {
        let Actions { discrete, low, high } = &self.action;
        let more = if *discrete { 0.5 } else { 0.0 };
        let bounds = low.iter().zip(high).map(|(low, high)| (low - more, high + more));
        let names = names("action", low.len());
        let controls = names.into_iter().zip(bounds);
        controls
            .map(|(name, (low, high))| Control { name, low, high })
            .collect()
    }

    /// An action as the environment takes it.
    pub fn admissible(&self, action: &[f64]) -> Vec<f64> {
        let Actions { discrete, low, high } = &self.action;
        let bounds = low.iter().zip(high);
        let own = action.iter().zip(bounds).map(|(&value, (&low, &high))| {
            let value = if *discrete { value.round() } else { value };
            value.clamp(low, high)
        });
        own.collect()
    }
}

/// `prefix_0`, `prefix_1`, …, `[count]`. Names last as long as the program, as those of other environments do; each is made
/// once.
pub(super) fn names(prefix: &'static str, count: usize) -> Vec<&'static str> {
    static NAMES: OnceLock<Mutex<HashMap<&'static str, Vec<&'static str>>>> = OnceLock::new();
    let mut names = NAMES
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let own = names.entry(prefix).or_default();
    while own.len() < count {
        own.push(format!("{prefix}_{}", own.len()).leak());
    }
    own[..count].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(discrete: bool, low: f64, high: f64) -> Description {
        let (low, high) = (vec![low], vec![high]);
        Description {
            observation: 1,
            action: Actions { discrete, low, high },
            horizon: 1,
            software: BTreeMap::new(),
        }
    }

    /// Uniform numbers between the bounds are rounded to three actions equally often.
    #[test]
    fn discrete_actions_are_whole_numbers() {
        let of = described(true, 3.0, 5.0);
        let control = of.controls()[0];
        assert_eq!((control.name, control.low, control.high), ("action_0", 2.5, 5.5));
        let mut counts = [0; 3];
        for i in 0..300 {
            let action = of.admissible(&[2.5 + (f64::from(i) + 0.5) / 100.0])[0];
            counts[(action - 3.0) as usize] += 1;
        }
        assert_eq!(counts, [100; 3]);
        assert_eq!([2.5, 5.5, 9.0].map(|v| of.admissible(&[v])[0]), [3.0, 5.0, 5.0]);
    }

    #[test]
    fn real_actions_are_clamped() {
        let of = described(false, -2.0, 2.0);
        assert_eq!([-7.0, 0.3, 2.1].map(|v| of.admissible(&[v])[0]), [-2.0, 0.3, 2.0]);
    }

    #[test]
    fn names_are_the_same_each_time() {
        assert_eq!(
            names("observation", 3),
            ["observation_0", "observation_1", "observation_2"]
        );
        assert_eq!(names("observation", 1), names("observation", 12)[..1]);
    }
}
