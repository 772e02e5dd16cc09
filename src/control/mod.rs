//! Policies acting in environments.

mod policy;
mod rollout;

pub use policy::{ActionRule, LatentRule, Policy};
pub use rollout::{EnvironmentConfig, EvaluationConfig, roll_out, score};
