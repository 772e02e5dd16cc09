//! Controllers with memory: what acts in many episodes at once.
//!
//! An [`Agent`] is what stays the same between roll-outs: a trained policy, a script, a distribution over actions. What it
//! remembers of E running episodes (latents, beliefs, plans, random numbers) is an [`Acting`].

use crate::Result;
use crate::math::streams::{Generator, Streams};
use latent_lab_envs::{Control, Controller, Episodes, Expert, Observations};
use rand::RngExt;

/// A controller of any kind.
pub trait Agent {
    /// Begins `episodes` new episodes. All randomness comes from `streams`.
    fn begin<'a>(&'a self, episodes: usize, streams: &Streams) -> Box<dyn Acting + 'a>;
}

/// A controller in the middle of E episodes.
pub trait Acting {
    /// The next action of every episode, `[E, A]`, row-major, in the units of the environment. It is called once per step;
    /// the actions of finished episodes have no effect. An agent looks at the numbers or at the images of `episodes`; only
    /// a planner that is said to know the true state simulates them.
    ///
    /// # Errors
    /// If the controller cannot act on what the episodes show.
    fn act(&mut self, episodes: &dyn Episodes) -> Result<Vec<f64>>;
}

/// The expert of an environment.
#[derive(Clone, Copy)]
pub struct Scripted<'a> {
    /// The script.
    pub expert: &'a dyn Expert,
}

struct ScriptedActing<'a>(Vec<(Controller<'a>, Generator)>);

impl Agent for Scripted<'_> {
    fn begin<'a>(&'a self, episodes: usize, streams: &Streams) -> Box<dyn Acting + 'a> {
        let stream = streams.named("rollout/expert");
        let begun = (0..episodes as u64).map(|episode| {
            let mut rng = stream.at(episode);
            (self.expert.begin(&mut rng), rng)
        });
        Box::new(ScriptedActing(begun.collect()))
    }
}

impl Acting for ScriptedActing<'_> {
    fn act(&mut self, episodes: &dyn Episodes) -> Result<Vec<f64>> {
        let Observations::Vectors { values, size } = episodes.observe();
        let rows = values.chunks(size.max(1)).zip(&mut self.0);
        Ok(rows.flat_map(|(row, (controller, rng))| controller(row, rng)).collect())
    }
}

/// Actions drawn uniformly between their bounds.
#[derive(Debug, Clone)]
pub struct UniformlyRandom {
    /// The numbers of an action.
    pub controls: Vec<Control>,
}

struct RandomActing<'a>(&'a [Control], Vec<Generator>);

impl Agent for UniformlyRandom {
    fn begin<'a>(&'a self, episodes: usize, streams: &Streams) -> Box<dyn Acting + 'a> {
        let stream = streams.named("rollout/random");
        let rngs = (0..episodes as u64).map(|episode| stream.at(episode)).collect();
        Box::new(RandomActing(&self.controls, rngs))
    }
}

impl Acting for RandomActing<'_> {
    fn act(&mut self, _episodes: &dyn Episodes) -> Result<Vec<f64>> {
        let Self(controls, rngs) = self;
        let mut actions = Vec::with_capacity(rngs.len() * controls.len());
        for rng in rngs {
            actions.extend(
                controls
                    .iter()
                    .map(|control| rng.random_range(control.low..=control.high)),
            );
        }
        Ok(actions)
    }
}
