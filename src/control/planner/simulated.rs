//! The oracle of control: the same planner with the true state, stepped by the environment itself.

use super::{Dynamics, Planner, Plans};
use crate::Result;
use crate::control::{Acting, Agent};
use crate::error::provided;
use crate::math::streams::Streams;
use latent_lab_envs::{Control, Episodes};

/// A planner that knows the true state and the environment: it simulates the episodes and minimises their
/// [`planning_cost`](latent_lab_envs::Environment::planning_cost).
#[derive(Debug)]
pub struct TrueStatePlanner {
    /// The planner; one that needs derivatives is refused.
    pub planner: Planner,
    /// The numbers of an action.
    pub controls: Vec<Control>,
}

struct Simulated<'a>(&'a dyn Episodes);

impl Dynamics for Simulated<'_> {
    fn tasks(&self) -> usize {
        self.0.episodes().len()
    }

    fn costs(&self, actions: &[f64], steps: usize) -> Result<Vec<f64>> {
        provided(self.0.simulate(actions, steps), "a state that can be copied")
    }
}

struct Simulating<'a>(Plans<'a>);

impl Agent for TrueStatePlanner {
    fn begin<'a>(&'a self, episodes: usize, streams: &Streams) -> Box<dyn Acting + 'a> {
        Box::new(Simulating(Plans::new(&self.planner, &self.controls, episodes, streams)))
    }
}

impl Acting for Simulating<'_> {
    fn act(&mut self, episodes: &dyn Episodes) -> Result<Vec<f64>> {
        self.0.act(&Simulated(episodes))
    }
}
