//! A number that may depend on the step.

use crate::error::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A positive number: constant, or a geometric path between two values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Schedule {
    /// The same at every step.
    Constant(f64),
    /// From `from` at step 0 to `to` at step `steps`, by equal factors; then `to`.
    Path {
        /// The initial value.
        from: f64,
        /// The final value.
        to: f64,
        /// The step at which the final value is reached; at most `training.steps`.
        steps: u64,
    },
}

impl Schedule {
    /// The value at `step`.
    pub fn at(self, step: u64) -> f64 {
        match self {
            Self::Constant(value) => value,
            Self::Path { to, steps, .. } if step >= steps => to,
            Self::Path { from, to, steps } => from * (to / from).powf(step as f64 / steps as f64),
        }
    }

    /// The first step from which the value no longer changes.
    pub fn ends_at(self) -> u64 {
        match self {
            Self::Constant(_) => 0,
            Self::Path { steps, .. } => steps,
        }
    }

    /// Faults of the value under `key`.
    pub fn check(self, key: &str) -> Vec<Fault> {
        if let Self::Path { steps: 0, .. } = self {
            let message = "a path of 0 steps is constant";
            let help = format!("write the final value alone: `{key} = …`");
            return vec![Fault::new(format!("{key}.steps"), message, "at least 1 step", help)];
        }
        let values = match self {
            Self::Constant(value) => vec![(key.to_owned(), value)],
            Self::Path { from, to, .. } => vec![(format!("{key}.from"), from), (format!("{key}.to"), to)],
        };
        let wrong = values
            .into_iter()
            .filter(|(_, value)| !(value.is_finite() && *value > 0.0));
        let fault = |(at, value)| {
            let help = format!("a {key} of 1 changes nothing");
            Fault::new(at, format!("{value} is not positive"), "a positive number", help)
        };
        wrong.map(fault).collect()
    }
}
