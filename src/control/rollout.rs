//! Roll-outs: an agent acts in many episodes in parallel, each with its own streams of random numbers.

use super::Agent;
use crate::environment::EnvironmentKind;
use crate::math::streams::{Generator, Streams};
use crate::{Error, Result};
use latent_lab_envs::{Episode, Episodes};
use rand::Rng;

/// The generators that `count` episodes start from. Every agent of a seed starts from the same states.
pub fn starts(count: usize, streams: &Streams) -> Vec<Generator> {
    let stream = streams.named("rollout/start");
    (0..count as u64).map(|episode| stream.at(episode)).collect()
}

/// Steps `episodes` to their ends by the actions of `agent`. After every step, `watch` sees them and the number of steps.
///
/// # Errors
/// The agent's, and those of the environment.
pub fn play(
    episodes: &mut dyn Episodes,
    agent: &dyn Agent,
    streams: &Streams,
    watch: &mut dyn FnMut(&dyn Episodes, usize),
) -> Result<()> {
    let mut acting = agent.begin(episodes.episodes().len(), streams);
    let mut steps = 0;
    while !episodes.over() {
        let actions = acting.act(&*episodes)?;
        episodes.step(&actions).map_err(Error::Other)?;
        steps += 1;
        watch(&*episodes, steps);
    }
    Ok(())
}

/// Runs `count` episodes of `environment` to their ends and returns how each ended.
///
/// # Errors
/// The agent's, and those of the environment.
pub fn roll_out(
    environment: &dyn EnvironmentKind,
    agent: &dyn Agent,
    count: usize,
    streams: &Streams,
) -> Result<Vec<Episode>> {
    let mut generators = starts(count, streams);
    let mut generators: Vec<&mut dyn Rng> = generators.iter_mut().map(|rng| rng as &mut dyn Rng).collect();
    let mut episodes = environment.begin(&mut generators).map_err(Error::Other)?;
    play(episodes.as_mut(), agent, streams, &mut |_, _| ())?;
    Ok(episodes.episodes())
}
