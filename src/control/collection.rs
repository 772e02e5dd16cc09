//! Episodes of an agent as data: what it saw, did and earned in each step.

use super::Agent;
use crate::environment::EnvironmentKind;
use crate::math::streams::Streams;
use crate::{Error, Result};
use latent_lab_envs::{Observations, Points};
use rand::Rng;

/// Steps of `count` episodes of `agent`, which run to their ends, one after another: observed are the O numbers that the
/// environment shows before an action and the reward of the action `[N, O + 1]`, given is the action `[N, U]`. All random
/// numbers come from `streams`.
///
/// # Errors
/// The agent's, and those of the environment.
pub fn collect(
    environment: &dyn EnvironmentKind,
    agent: &dyn Agent,
    count: usize,
    streams: &Streams,
) -> Result<Points> {
    let mut generators = super::starts(count, streams);
    let mut generators: Vec<&mut dyn Rng> = generators.iter_mut().map(|rng| rng as &mut dyn Rng).collect();
    let mut episodes = environment.begin(&mut generators).map_err(Error::Other)?;
    let mut acting = agent.begin(count, streams);
    let width = environment.declaration().action.len().max(1);
    let mut all = vec![Points::default(); count];
    while !episodes.over() {
        let before = episodes.episodes();
        let Observations::Vectors { values, size } = episodes.observe();
        let actions = acting.act(&*episodes)?;
        episodes.step(&actions).map_err(Error::Other)?;
        let seen = values.chunks_exact(size.max(1)).zip(actions.chunks_exact(width));
        let after = before.iter().zip(episodes.episodes());
        for ((own, (seen, action)), (before, after)) in all.iter_mut().zip(seen).zip(after) {
            if !before.over() {
                own.observed.extend_from_slice(seen);
                own.observed.push(after.reward);
                own.given.extend_from_slice(action);
            }
        }
    }
    let mut points = Points::default();
    for own in all.into_iter().filter(|own| !own.given.is_empty()) {
        points.lengths.push(own.given.len() / width);
        points.observed.extend(own.observed);
        points.given.extend(own.given);
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::UniformlyRandom;
    use latent_lab_envs::{CartPoleV1, Environment, PendulumV1};

    /// Every row is what the simulator shows and gives under the actions beside it, also where episodes end at different steps.
    #[test]
    fn collected_episodes_are_those_of_the_simulator_under_their_actions() {
        let cases: [(&dyn EnvironmentKind, usize, Vec<_>); 2] = [
            (&PendulumV1::default(), 4, PendulumV1::default().action()),
            (&CartPoleV1::default(), 5, CartPoleV1::default().action()),
        ];
        for (environment, columns, controls) in cases {
            let (streams, agent) = (Streams::new(4), UniformlyRandom { controls });
            let points = collect(environment, &agent, 3, &streams).expect("episodes");
            assert_eq!(points.lengths.len(), 3);
            let mut at = 0;
            for (mut start, length) in crate::control::starts(3, &streams).into_iter().zip(&points.lengths) {
                let mut running = environment.begin(&mut [&mut start]).expect("an episode");
                for t in at..at + length {
                    let Observations::Vectors { values, .. } = running.observe();
                    let row = &points.observed[t * columns..][..columns];
                    assert_eq!(row[..columns - 1], values);
                    running.step(&points.given[t..=t]).expect("a step");
                    assert_eq!(row[columns - 1], running.episodes()[0].reward);
                }
                assert!(running.over());
                at += length;
            }
            assert_eq!((points.observed.len(), points.given.len()), (at * columns, at));
        }
    }
}
