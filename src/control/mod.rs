//! Policies and other controllers acting in environments.

mod agent;
mod collection;
pub mod planner;
mod policy;
mod rollout;

pub use agent::{Acting, Agent, Scripted, UniformlyRandom};
pub use collection::collect;
pub use policy::{ActionRule, LatentRule, Policy};
pub use rollout::{play, roll_out, starts};
