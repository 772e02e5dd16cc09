//! Roll-outs: a policy acts in many episodes in parallel, each with its own stream of random numbers.

use super::{ActionRule, LatentRule, Policy};
use crate::Result;
use crate::data::Table;
use crate::math::streams::Streams;
use latent_lab_envs::{Environment, Tree, tree};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An environment that policies can act in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EnvironmentConfig {
    /// The road with the tree. It takes its settings from `[data]` if that has `source = "tree"`.
    Tree,
}

/// The table `[evaluation]`: metrics beside the log-likelihoods, and roll-outs after training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EvaluationConfig {
    /// The metrics of the comparison, as `list metric` names them; the part before the slash may be left out. The first
    /// one ranks the variants and is plotted; the others are tabulated below. Without this key the first is
    /// `rollout/success_rate` or the log-likelihood, of the test rows if there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<String>,
    /// The environment of the roll-outs; no roll-outs without this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentConfig>,
    /// Roll-outs per run.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub rollouts: usize,
    /// How an action is picked from p(a|s).
    pub action: ActionRule,
    /// How long a drawn latent lasts.
    pub latent: LatentRule,
    /// Repetitions over which the objective's estimate is compared with its exact value; 0 skips this.
    #[schemars(range(max = 10_000_000))]
    pub estimator_repeats: u64,
    /// Draws per row for `log_likelihood_bound` and `elbo`.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub bound_samples: usize,
    /// Steps at the start of each test sequence that prediction errors leave out. In free run the model sees only the
    /// observations of these steps.
    pub warm_up: usize,
    /// How many steps ahead `test/k_step_error` looks.
    #[schemars(range(min = 1))]
    pub horizon: usize,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            metrics: Vec::new(),
            environment: None,
            rollouts: 200,
            action: ActionRule::Sample,
            latent: LatentRule::PerStep,
            estimator_repeats: 0,
            bound_samples: 100,
            warm_up: 10,
            horizon: 10,
        }
    }
}

/// Runs `count` episodes to their ends and returns their last states, including the paths.
pub fn roll_out(environment: &Tree, policy: &Policy, count: usize, streams: &Streams) -> Result<Vec<tree::State>> {
    let starts = streams.named("rollout/start");
    let mut states: Vec<_> = (0..count as u64)
        .map(|i| environment.reset(&mut starts.at(i)))
        .collect();
    let actions = streams.named("rollout/action");
    let mut rngs: Vec<_> = (0..count as u64).map(|i| actions.at(i)).collect();
    let mut latents = None;
    let strata = streams.named("rollout/latent");
    let mut decision = 0;
    let size = environment.observation_size();
    let mut over = vec![false; count];
    while over.iter().any(|over| !over) {
        let mut observations = vec![0.0; count * size];
        for (state, into) in states.iter().zip(observations.chunks_mut(size)) {
            environment.observe(state, into);
        }
        let observations = Table::new(observations, size);
        let chosen = policy.act(observations, &mut latents, &mut strata.at(decision), &mut rngs)?;
        decision += 1;
        for ((state, over), action) in states.iter_mut().zip(&mut over).zip(&chosen) {
            *over = environment.step(state, action).over() || *over;
        }
    }
    Ok(states)
}

/// The metrics `rollout/…` of finished episodes. Metrics of routes are missing if no episode succeeded.
pub fn score(states: &[tree::State]) -> Vec<(String, f64)> {
    let successes: Vec<_> = states.iter().filter(|state| state.success()).collect();
    let count = successes.len() as f64;
    let left = successes
        .iter()
        .filter(|state| state.side == Some(tree::Side::Left))
        .count() as f64;
    let mut metrics = vec![("rollout/success_rate".to_owned(), count / states.len() as f64)];
    if count > 0.0 {
        let left = left / count;
        let entropy = |p: f64| if p > 0.0 { -p * p.log2() } else { 0.0 };
        metrics.push(("rollout/left_fraction".to_owned(), left));
        metrics.push(("rollout/route_entropy".to_owned(), entropy(left) + entropy(1.0 - left)));
    }
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_routes_of_no_success_are_missing() {
        let tree = Tree::default();
        let start = tree.reset(&mut Streams::new(0).named("start").at(0));
        let arrived = |side| tree::State {
            side: Some(side),
            outcome: Some(tree::Outcome::Success),
            ..start.clone()
        };
        assert_eq!(
            score(std::slice::from_ref(&start)),
            [("rollout/success_rate".to_owned(), 0.0)]
        );
        let metrics = score(&[start.clone(), arrived(tree::Side::Left)]);
        let expected = [("success_rate", 0.5), ("left_fraction", 1.0), ("route_entropy", 0.0)];
        assert_eq!(
            metrics,
            expected.map(|(name, value)| (format!("rollout/{name}"), value))
        );
    }
}
