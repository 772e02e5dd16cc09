//! A policy with a continuous latent: how long a latent lasts, the mean action, and refused settings.

use crate::continuous::case::{Case, agrees, rows};
use latent_lab::control::{ActionRule, Agent, LatentRule, Policy};
use latent_lab::data::Standardization;
use latent_lab::math::streams::Streams;
use latent_lab_envs::{Episode, Episodes, Frames, Observations};

const EPISODES: usize = 400;

fn case(prior: &str) -> Case {
    let model = format!(
        "kind = 'latent_gaussian'\nlatent_dimensions = 2\nprior = '{prior}'\nhidden = [6]\nfixed_deviation = 1e-6"
    );
    Case::new(
        &model,
        "kind = 'amortised'",
        rows(30, 1, 2, false, &Streams::new(10)),
        10,
    )
}

fn policy<'a>(
    case: &'a Case,
    standardization: &'a Standardization,
    action: ActionRule,
    latent: LatentRule,
) -> Policy<'a> {
    Policy {
        model: case.model.as_ref(),
        theta: &case.theta,
        standardization,
        action,
        latent,
    }
}

/// Episodes that always show the same numbers.
struct Still;

impl Episodes for Still {
    fn observe(&self) -> Observations {
        Observations::Vectors {
            values: [0.3, -0.5].repeat(EPISODES),
            size: 2,
        }
    }

    fn images(&self) -> Option<Frames> {
        None
    }

    fn goals(&self) -> Option<Frames> {
        None
    }

    fn simulate(&self, _actions: &[f64], _steps: usize) -> Option<Vec<f64>> {
        None
    }

    fn step(&mut self, _actions: &[f64]) -> Result<(), String> {
        Ok(())
    }

    fn episodes(&self) -> Vec<Episode> {
        vec![Episode::default(); EPISODES]
    }

    fn over(&self) -> bool {
        false
    }
}

/// Actions of two decisions at the same observation.
fn twice(policy: &Policy) -> [Vec<f64>; 2] {
    let mut acting = policy.begin(EPISODES, &Streams::new(0));
    [(), ()].map(|()| acting.act(&Still).expect("actions"))
}

#[test]
fn a_latent_lasts_as_long_as_it_should() {
    let same = Standardization::default();
    for prior in ["standard_normal", "given_x", "mixture"] {
        let case = case(prior);
        let [first, second] = twice(&policy(&case, &same, ActionRule::Sample, LatentRule::PerEpisode));
        let differs = |(a, b): (&f64, &f64)| (a - b).abs() > 1e-4;
        assert!(!first.iter().zip(&second).any(differs), "{prior}");
        assert!(
            first.windows(2).filter(|pair| differs((&pair[0], &pair[1]))).count() > EPISODES * 9 / 10,
            "{prior}"
        );
        let [first, second] = twice(&policy(&case, &same, ActionRule::Sample, LatentRule::PerStep));
        assert!(
            first.iter().zip(&second).filter(|pair| differs(*pair)).count() > EPISODES * 9 / 10,
            "{prior}"
        );
    }
}

#[test]
fn the_mean_action_is_the_mean_of_sampled_actions() {
    let same = Standardization::default();
    for prior in ["standard_normal", "given_x", "mixture"] {
        let case = case(prior);
        let [sampled, again] = twice(&policy(&case, &same, ActionRule::Sample, LatentRule::PerStep));
        let [mean, _] = twice(&policy(&case, &same, ActionRule::Mean, LatentRule::PerStep));
        let average = mean.iter().sum::<f64>() / mean.len() as f64;
        agrees(&[sampled, again].concat(), average, prior);
        // Every episode's own average is near it, too: points are spread evenly.
        assert!(mean.iter().all(|m| (m - average).abs() < 0.15), "{prior}: {mean:?}");
    }
}

#[test]
fn no_component_of_a_continuous_latent_is_the_most_likely() {
    let same = Standardization::default();
    let case = case("standard_normal");
    let policy = policy(&case, &same, ActionRule::MostLikelyComponent, LatentRule::PerStep);
    let error = policy.begin(EPISODES, &Streams::new(0)).act(&Still).unwrap_err();
    assert!(error.to_string().contains("a most likely component"), "{error}");
}
