//! Policies and other controllers acting in environments.

mod agent;
pub mod planner;
mod policy;
mod rollout;

pub use agent::{Acting, Agent, Scripted, UniformlyRandom};
pub use policy::{ActionRule, LatentRule, Policy};
pub use rollout::{play, roll_out, starts};
