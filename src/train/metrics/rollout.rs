//! Roll-outs: the trained model acts in an environment, and its episodes are scored.

use super::{Condition, Declared, Family, Tables};
use crate::Result;
use crate::control::{ActionRule, LatentRule, Policy, Scripted, UniformlyRandom, roll_out};
use crate::data::source::{Shape, Widths};
use crate::environment::{EnvironmentConfig, EnvironmentKind};
use crate::error::Fault;
use crate::kind::either;
use crate::math::streams::Streams;
use crate::model::row_models_that;
use crate::train::{Job, Trained};
use latent_lab_envs::{Declaration, Episode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The table `[evaluation.rollout]`: the trained model acts in an environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolloutConfig {
    /// The environment: its name, or a table with its `kind` and settings. A bare name has the settings of the
    /// demonstrations in `[data]`, if they are of this environment, and the defaults otherwise.
    pub environment: EnvironmentConfig,
    /// Episodes per run.
    #[serde(default = "episodes")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub episodes: usize,
    /// How an action is picked from p(a|s).
    #[serde(default = "action")]
    pub action: ActionRule,
    /// How long a drawn latent lasts.
    #[serde(default = "latent")]
    pub latent: LatentRule,
}

fn episodes() -> usize {
    200
}

fn action() -> ActionRule {
    ActionRule::Sample
}

fn latent() -> LatentRule {
    LatentRule::PerStep
}

const ROLLOUTS: Condition = Condition {
    what: "roll-outs",
    write: "`rollout.environment` beside it",
    holds: |tables| tables.evaluation.rollout.is_some(),
};

const SUCCESS: Condition = Condition {
    what: "an environment that says what a success is",
    write: "another environment, or `rollout/return`",
    holds: |tables| declares(tables, |declared| declared.success.is_some()),
};

const OF_SUCCESS: &[Condition] = &[ROLLOUTS, SUCCESS];

/// Whether the environment declares `what`. The fault of an environment that cannot be made is reported at its own key.
fn declares(tables: &Tables, what: impl Fn(&Declaration) -> bool) -> bool {
    let environment = tables.environment().ok().flatten();
    environment.is_none_or(|environment| what(&environment.declaration()))
}

/// A metric of all episodes.
const fn of_episodes(name: &'static str, title: &'static str, formula: &'static str, unit: &'static str) -> Declared {
    Declared {
        parts: &[],
        name,
        title,
        formula,
        needs: "`evaluation.rollout`",
        conditions: &[ROLLOUTS],
        unit,
        larger_is_better: None,
    }
}

const METRICS: &[Declared] = &[
    Declared {
        needs: "`evaluation.rollout`, an environment that says what a success is, such as `tree`",
        conditions: OF_SUCCESS,
        larger_is_better: Some(true),
        ..of_episodes(
            "rollout/success_rate",
            "success rate",
            "successful roll-outs / all roll-outs. The environment says what a success is; running out of time is none",
            "fraction",
        )
    },
    Declared {
        larger_is_better: Some(true),
        ..of_episodes(
            "rollout/return",
            "return",
            "mean over the roll-outs of Σ_t r_t, the rewards of an episode until it terminates or is truncated. The baseline \
             is the mean return of uniformly random actions, the oracle that of the best known controller or of the expert",
            "reward of the environment",
        )
    },
    of_episodes(
        "rollout/length",
        "episode length",
        "mean over the roll-outs of the number of steps until an episode terminates or is truncated",
        "steps",
    ),
    of_episodes(
        "rollout/truncated_fraction",
        "share of truncated episodes",
        "roll-outs that the time limit ended / all roll-outs",
        "fraction",
    ),
    of_episodes(
        "rollout/random_return",
        "return of random actions",
        "rollout/return of uniformly random actions, from the same starts as the roll-outs of the policy",
        "reward of the environment",
    ),
    Declared {
        needs: "`evaluation.rollout` in an environment with an expert",
        conditions: &[
            ROLLOUTS,
            Condition {
                what: "an environment with an expert",
                write: "another environment",
                holds: |tables| declares(tables, |declared| declared.has_expert),
            },
        ],
        ..of_episodes(
            "rollout/expert_return",
            "return of the expert",
            "rollout/return of the environment's expert, from the same starts as the roll-outs of the policy",
            "reward of the environment",
        )
    },
    Declared {
        needs: "`evaluation.rollout` in an environment with a route that is called `left`: `tree`; at least one success",
        conditions: &[
            ROLLOUTS,
            SUCCESS,
            Condition {
                what: "an environment with a route that is called `left`",
                write: "another environment",
                holds: |tables| declares(tables, |declared| declared.routes.contains(&"left")),
            },
        ],
        ..of_episodes(
            "rollout/left_fraction",
            "share of successes on the left",
            "successful roll-outs that passed on the left / successful roll-outs",
            "fraction",
        )
    },
    Declared {
        needs: "`evaluation.rollout` in an environment that tells routes apart: `tree`; at least one success",
        conditions: &[
            ROLLOUTS,
            SUCCESS,
            Condition {
                what: "an environment that tells routes apart",
                write: "another environment",
                holds: |tables| declares(tables, |declared| !declared.routes.is_empty()),
            },
        ],
        larger_is_better: Some(true),
        ..of_episodes(
            "rollout/route_entropy",
            "route entropy",
            "−Σ_r p_r log₂ p_r, p_r = the share of successful roll-outs that took route r of the environment: for `tree` left \
             and right",
            "bits",
        )
    },
];

/// The family.
pub(super) struct Rollout;

impl Family for Rollout {
    fn declared(&self) -> &'static [Declared] {
        METRICS
    }

    fn faults(&self, tables: &Tables, shape: Option<&Shape>) -> Vec<Fault> {
        let Some(rollout) = &tables.evaluation.rollout else {
            return Vec::new();
        };
        let of_environment = shape.and_then(|shape| environment_fault(tables, shape.widths));
        let of_policy = policy_fault(tables, rollout);
        let is_kept = rollout.latent == LatentRule::PerEpisode;
        let without_effect = (shape.is_some() && is_kept && tables.model.abilities().has_no_latent()).then(|| {
            Fault::unused(
                "latent",
                "a model of one component has no latent variable",
                "a mixture of at least 2 components",
            )
        });
        let all = [of_environment, of_policy, without_effect].into_iter().flatten();
        all.map(|fault| fault.within("evaluation.rollout")).collect()
    }

    fn of_trained(&self, job: &Job, trained: &Trained, tables: &Tables) -> Result<Vec<(String, f64)>> {
        let (Some(rollout), Some(environment)) = (&job.evaluation.rollout, tables.environment()?) else {
            return Ok(Vec::new());
        };
        let policy = Policy {
            model: job.model,
            theta: &trained.theta,
            standardization: &job.splits.standardization,
            action: rollout.action,
            latent: rollout.latent,
        };
        let episodes = roll_out(&*environment, &policy, rollout.episodes, job.streams)?;
        let mut metrics = score(&environment.declaration(), &episodes);
        metrics.extend(references(&*environment, rollout.episodes, job.streams)?);
        Ok(metrics)
    }
}

/// A policy's given and observed columns must be the states and actions of the environment.
fn environment_fault(tables: &Tables, widths: Widths) -> Option<Fault> {
    const KEY: &str = "environment";
    let environment = match tables.environment() {
        Ok(environment) => environment?,
        Err(error) => {
            let (expected, help) = ("settings of the environment", "write them here, as a table with `kind`");
            return Some(Fault::new(KEY, error.to_string(), expected, help));
        }
    };
    if let Some(fault) = environment.fault() {
        let help = format!("see `describe environment {}`", environment.name());
        return Some(Fault::new(KEY, fault, "consistent keys", help));
    }
    let declared = environment.declaration();
    let (given, observed) = (declared.observation.len(), declared.action.len());
    (tables.model.abilities().conditional && (widths.given, widths.observed) != (given, observed)).then(|| {
        Fault::new(
            KEY,
            format!(
                "the data have {} given and {} observed columns",
                widths.given, widths.observed
            ),
            format!("{given} given (the state), {observed} observed (the action)"),
            "list the state's columns under `data.given` and the action's under `data.observed`",
        )
    })
}

/// What the roll-outs ask of the model, and it does not have.
fn policy_fault(tables: &Tables, rollout: &RolloutConfig) -> Option<Fault> {
    let abilities = tables.model.abilities();
    if !abilities.conditional {
        return Some(Fault::new(
            "environment",
            "a density p(x) is not a policy",
            "a conditional model",
            format!("choose {}", either(&row_models_that(|other| other.conditional))),
        ));
    }
    if rollout.action == ActionRule::MostLikelyComponent && !abilities.is_finite() {
        return Some(Fault::new(
            "action",
            "a continuous latent variable has no most likely component",
            "`sample` or `mean`",
            "remove `action` to sample",
        ));
    }
    if abilities.is_binary() {
        return Some(Fault::new(
            "environment",
            "a Bernoulli likelihood models 0 and 1, but actions are real numbers",
            "a Gaussian likelihood",
            "remove `model.likelihood`",
        ));
    }
    (rollout.latent == LatentRule::PerEpisode && rollout.action != ActionRule::Sample).then(|| {
        Fault::new(
            "latent",
            "only sampled actions draw a latent variable that can be kept",
            "`action = \"sample\"`",
            "remove `latent`, or sample",
        )
    })
}

/// The metrics `rollout/…` of finished episodes. Metrics of success are missing if the environment declares none, metrics of
/// routes if no episode succeeded.
fn score(declaration: &Declaration, episodes: &[Episode]) -> Vec<(String, f64)> {
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
fn references(environment: &dyn EnvironmentKind, count: usize, streams: &Streams) -> Result<Vec<(String, f64)>> {
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
mod tests;
