//! Options that every posterior has.

use super::Schedule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options that every posterior has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Common {
    /// Optimiser steps (or sweeps) between refreshes: between them the posterior uses θ of the last refresh. With 1 it
    /// is always current; with large values gradient training is an EM with many gradient steps per E-step.
    #[schemars(range(min = 1))]
    pub refresh_every: u64,
    /// Weights are ∝ p(z|x)^(1/temperature): softer above 1, harder below 1, like `hard` towards 0. A number, or
    /// `{ from, to, steps }` for a geometric path.
    pub temperature: Schedule,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            refresh_every: 1,
            temperature: Schedule::Constant(1.0),
        }
    }
}
