//! The plans of running episodes: what receding-horizon control remembers from step to step.

use super::{Dynamics, Planner, Task};
use crate::Result;
use crate::math::streams::{Stream, Streams};
use latent_lab_envs::Control;

/// A plan for each of E episodes, `[E, H, U]`, with each episode's own stream of random numbers.
#[derive(Debug)]
pub struct Plans<'a> {
    planner: &'a Planner,
    controls: &'a [Control],
    plans: Vec<f64>,
    streams: Vec<Stream>,
    step: u64,
}

impl<'a> Plans<'a> {
    /// Plans of `episodes` new episodes: every action is the middle of its bounds. Episode e draws from the stream
    /// `plan/e`, at the number of the step.
    pub fn new(planner: &'a Planner, controls: &'a [Control], episodes: usize, streams: &Streams) -> Self {
        let middle: Vec<f64> = controls.iter().map(|own| 0.5 * (own.low + own.high)).collect();
        Self {
            planner,
            controls,
            plans: middle.repeat(episodes * planner.horizon()),
            streams: (0..episodes).map(|e| streams.named(&format!("plan/{e}"))).collect(),
            step: 0,
        }
    }

    /// The actions of all episodes now, `[E, U]`. The plans move on by one step.
    ///
    /// # Errors
    /// The planner's.
    pub fn act(&mut self, dynamics: &dyn Dynamics) -> Result<Vec<f64>> {
        let task = Task {
            controls: self.controls,
            plans: std::mem::take(&mut self.plans),
            generators: self.streams.iter().map(|stream| stream.at(self.step)).collect(),
        };
        let planned = self.planner.plan(dynamics, task)?;
        self.step += 1;
        self.plans = planned.plans;
        let (size, per_plan) = (self.controls.len(), self.controls.len() * self.planner.horizon());
        for plan in self.plans.chunks_exact_mut(per_plan.max(1)) {
            plan.copy_within(size.., 0);
        }
        Ok(planned.actions)
    }
}
