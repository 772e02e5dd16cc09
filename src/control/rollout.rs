//! Roll-outs: an agent acts in many episodes in parallel, each with its own streams of random numbers.

use super::{Agent, Scripted, UniformlyRandom};
use crate::Result;
use crate::environment::EnvironmentKind;
use crate::math::streams::{Generator, Streams};
use latent_lab_envs::{Declaration, Episode, Episodes};
use rand::Rng;

/// The generators that `count` episodes start from. Every agent of a seed starts from the same states.
pub fn starts(count: usize, streams: &Streams) -> Vec<Generator> {
    let stream = streams.named("rollout/start");
    (0..count as u64).map(|episode| stream.at(episode)).collect()
}

/// Steps `episodes` to their ends by the actions of `agent`.
///
/// # Errors
/// The agent's.
pub fn play(episodes: &mut dyn Episodes, agent: &dyn Agent, streams: &Streams) -> Result<()> {
    let mut acting = agent.begin(episodes.episodes().len(), streams);
    while !episodes.over() {
        let actions = acting.act(episodes.observe())?;
        episodes.step(&actions);
    }
    Ok(())
}

/// Runs `count` episodes of `environment` to their ends and returns how each ended.
///
/// # Errors
/// The agent's.
pub fn roll_out(
    environment: &dyn EnvironmentKind,
    agent: &dyn Agent,
    count: usize,
    streams: &Streams,
) -> Result<Vec<Episode>> {
    let mut generators = starts(count, streams);
    let mut generators: Vec<&mut dyn Rng> = generators.iter_mut().map(|rng| rng as &mut dyn Rng).collect();
    let mut episodes = environment.begin(&mut generators);
    play(episodes.as_mut(), agent, streams)?;
    Ok(episodes.episodes())
}

/// The metrics `rollout/…` of finished episodes. Metrics of success are missing if the environment declares none, metrics of
/// routes if no episode succeeded.
pub fn score(declaration: &Declaration, episodes: &[Episode]) -> Vec<(String, f64)> {
    let all = episodes.len() as f64;
    let mean = |value: &dyn Fn(&Episode) -> f64| episodes.iter().map(value).sum::<f64>() / all;
    let mut metrics = vec![
        ("rollout/return".to_owned(), mean_return(episodes)),
        ("rollout/length".to_owned(), mean(&|episode| episode.length as f64)),
        (
            "rollout/truncated_fraction".to_owned(),
            mean(&|episode| f64::from(u8::from(episode.truncated))),
        ),
    ];
    if declaration.success.is_some() {
        let successes = episodes.iter().filter(|episode| episode.success == Some(true));
        metrics.push((
            "rollout/success_rate".to_owned(),
            successes.clone().count() as f64 / all,
        ));
        let routes: Vec<usize> = successes.filter_map(|episode| episode.route).collect();
        if !routes.is_empty() {
            metrics.extend(route_metrics(&declaration.routes, &routes));
        }
    }
    metrics
}

/// The share of the route called `left`, and the entropy over all routes, of episodes that took these routes.
fn route_metrics(names: &[&str], taken: &[usize]) -> Vec<(String, f64)> {
    let share = |route: usize| taken.iter().filter(|own| **own == route).count() as f64 / taken.len() as f64;
    let entropy = |p: f64| if p > 0.0 { -p * p.log2() } else { 0.0 };
    let mut metrics = Vec::new();
    if let Some(left) = names.iter().position(|name| *name == "left") {
        metrics.push(("rollout/left_fraction".to_owned(), share(left)));
    }
    let (mut bits, mut rest) = (0.0, 1.0);
    for route in 0..names.len().saturating_sub(1) {
        bits += entropy(share(route));
        rest -= share(route);
    }
    // The last share is what the others leave.
    metrics.push(("rollout/route_entropy".to_owned(), bits + entropy(rest)));
    metrics
}

/// The mean return of other controllers from the same starts: uniformly random actions, and the expert if there is one.
///
/// # Errors
/// The controllers'.
pub fn references(environment: &dyn EnvironmentKind, count: usize, streams: &Streams) -> Result<Vec<(String, f64)>> {
    let controls = environment.declaration().action;
    let random = roll_out(environment, &UniformlyRandom { controls }, count, streams)?;
    let mut metrics = vec![("rollout/random_return".to_owned(), mean_return(&random))];
    if let Some(expert) = environment.scripted() {
        let episodes = roll_out(environment, &Scripted { expert }, count, streams)?;
        metrics.push(("rollout/expert_return".to_owned(), mean_return(&episodes)));
    }
    Ok(metrics)
}

fn mean_return(episodes: &[Episode]) -> f64 {
    episodes.iter().map(|episode| episode.total_reward).sum::<f64>() / episodes.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use latent_lab_envs::{Task, Tree};

    fn named<const N: usize>(expected: [(&str, f64); N]) -> Vec<(String, f64)> {
        let expected = expected.into_iter();
        expected
            .map(|(name, value)| (format!("rollout/{name}"), value))
            .collect()
    }

    fn ended(success: bool, route: Option<usize>) -> Episode {
        Episode {
            total_reward: f64::from(u8::from(success)),
            length: 10,
            terminated: success,
            truncated: !success,
            success: Some(success),
            route,
        }
    }

    #[test]
    fn the_routes_of_no_success_are_missing() {
        let declaration = Tree::default().declaration();
        // A car that passed on the left and ran out of time took no route that counts.
        let failed = [ended(false, Some(0)), ended(false, None)];
        let of_all = [("return", 0.0), ("length", 10.0), ("truncated_fraction", 1.0)];
        let mut expected = named(of_all);
        expected.extend(named([("success_rate", 0.0)]));
        assert_eq!(score(&declaration, &failed), expected);
        let expected = named([
            ("return", 0.5),
            ("length", 10.0),
            ("truncated_fraction", 0.5),
            ("success_rate", 0.5),
            ("left_fraction", 1.0),
            ("route_entropy", 0.0),
        ]);
        assert_eq!(
            score(&declaration, &[ended(false, None), ended(true, Some(0))]),
            expected
        );
    }

    #[test]
    fn the_entropy_is_over_all_routes_that_are_declared() {
        let declaration = Declaration {
            routes: vec!["west", "middle", "east", "tunnel"],
            ..Tree::default().declaration()
        };
        let episodes = [0, 1, 2, 3].map(|route| ended(true, Some(route)));
        let metrics = score(&declaration, &episodes);
        assert!(
            metrics.contains(&("rollout/route_entropy".to_owned(), 2.0)),
            "{metrics:?}"
        );
        assert!(!metrics.iter().any(|(name, _)| name.contains("left")), "{metrics:?}");
        let episodes = [0, 0, 1, 2].map(|route| ended(true, Some(route)));
        let metrics = score(&declaration, &episodes);
        assert!(
            metrics.contains(&("rollout/route_entropy".to_owned(), 1.5)),
            "{metrics:?}"
        );
    }

    #[test]
    fn an_environment_without_success_has_no_metrics_of_it() {
        let declaration = Declaration {
            success: None,
            routes: vec![],
            ..Tree::default().declaration()
        };
        let episode = Episode {
            success: None,
            ..ended(false, None)
        };
        assert_eq!(score(&declaration, &[episode]).len(), 3);
    }

    #[test]
    fn the_expert_beats_random_actions() {
        let metrics = references(&Tree::default(), 50, &Streams::new(0)).unwrap();
        assert_eq!(metrics[1], ("rollout/expert_return".to_owned(), 1.0));
        assert!(metrics[0].1 < 0.3, "{metrics:?}");
    }
}
