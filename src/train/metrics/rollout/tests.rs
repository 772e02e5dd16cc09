//! Scores of episodes with known ends.

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
        reward: f64::from(u8::from(success)),
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
