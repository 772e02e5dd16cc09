//! Policies and other controllers acting in environments.

mod agent;
mod config;
mod policy;
mod rollout;

pub use agent::{Acting, Agent, Scripted, UniformlyRandom};
pub use config::{EvaluationConfig, RolloutConfig};
pub use policy::{ActionRule, LatentRule, Policy};
pub use rollout::{play, references, roll_out, score, starts};
