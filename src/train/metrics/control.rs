//! Control: the trained model of sequences plans in latent space, and its episodes are scored beside those of the same
//! planner with the true state, and of random actions. All start from the same states.

mod faults;

use super::{Condition, Declared, Family, Tables};
use crate::control::planner::{Cost, Encoder, LatentAgent, Planner, TrueStatePlanner};
use crate::control::{Agent, UniformlyRandom, play, starts};
use crate::data::source::Shape;
use crate::environment::{EnvironmentConfig, EnvironmentKind};
use crate::error::Fault;
use crate::math::streams::Streams;
use crate::nn::Parameters;
use crate::train::{Job, Trained};
use crate::{Error, Result};
use latent_lab_envs::{Declaration, Episode, STEPS_IN_GOAL};
use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The table `[evaluation.control]`: the trained model plans in an environment that it has seen in images, or in numbers with
/// their rewards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ControlConfig {
    /// The environment: its name, or a table with its `kind` and settings. It must have images, unless the cost is `reward`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "that of the exploration in `[data]`"))]
    pub environment: Option<EnvironmentConfig>,
    /// Episodes per run.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub tasks: usize,
    /// The planner.
    pub planner: Planner,
    /// The cost of a latent state. `reward` needs a model with `reward`, and data with the reward in their last column.
    pub cost: Cost,
    /// Observations that the posterior is given in every step, with the actions between them.
    #[schemars(range(min = 1, max = 1000))]
    pub window: usize,
    /// Whether actions after which the observation did not move, although the model said it would, are excluded near that
    /// state for the rest of the episode.
    pub remembers_refused: bool,
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self {
            environment: None,
            tasks: 10,
            planner: Planner::default(),
            cost: Cost::default(),
            window: 4,
            remembers_refused: false,
        }
    }
}

const CONTROL: Condition = Condition {
    what: "control by the model",
    write: "a table `control` beside it",
    holds: |tables| tables.evaluation.control.is_some(),
};

const ROUNDS: Condition = Condition {
    what: "rounds of collection",
    write: "a table `[training.collection]`",
    holds: |tables| tables.collection().is_some(),
};

const IN_GOAL: Condition = Condition {
    what: "an environment whose reward is 1 in the goal",
    write: "another environment, or `control/return`",
    holds: |tables| {
        let environment = tables.controlled();
        environment.is_none_or(|environment| counts_steps(&environment.declaration()))
    },
};

const SIMULATED: Condition = Condition {
    what: "an environment whose true state a planner can copy",
    write: "another environment, or `control/return`",
    holds: |tables| {
        let environment = tables.controlled();
        environment.is_none_or(|environment| environment.declaration().can_be_simulated)
    },
};

/// Whether the return is the number of steps in the goal.
fn counts_steps(declaration: &Declaration) -> bool {
    declaration.reward_unit == STEPS_IN_GOAL
}

/// A return of all episodes.
const fn of_return(name: &'static str, title: &'static str, formula: &'static str) -> Declared {
    Declared {
        parts: &[],
        name,
        title,
        formula,
        needs: "`evaluation.control`",
        conditions: &[CONTROL],
        unit: "reward of the environment",
        larger_is_better: None,
    }
}

/// A share of steps in the goal.
const fn of_goal(name: &'static str, title: &'static str, formula: &'static str) -> Declared {
    Declared {
        needs: "`evaluation.control`, an environment whose reward is 1 in the goal, such as `planar`",
        conditions: &[CONTROL, IN_GOAL],
        unit: "percent",
        ..of_return(name, title, formula)
    }
}

const METRICS: &[Declared] = &[
    Declared {
        larger_is_better: Some(true),
        ..of_goal(
            "control/in_goal",
            "steps in the goal",
            "mean over the tasks of 100 × steps in the goal / steps, where the trained model plans in latent space",
        )
    },
    Declared {
        larger_is_better: Some(true),
        ..of_goal(
            "control/in_goal_last_half",
            "steps in the goal, last half",
            "mean over the tasks of 100 × steps in the goal / steps, over the last half of the steps. The way to the goal \
             counts less than staying there",
        )
    },
    Declared {
        larger_is_better: Some(true),
        ..of_return(
            "control/return",
            "return of planning",
            "mean over the tasks of Σ_t r_t, where the trained model plans in latent space",
        )
    },
    Declared {
        conditions: &[CONTROL, IN_GOAL, SIMULATED],
        ..of_goal(
            "control/oracle_in_goal",
            "steps in the goal, true state",
            "control/in_goal of the same planner with the true state and the environment itself, from the same starts. \
             `ilqr` is replaced by `cem` of the same horizon",
        )
    },
    Declared {
        needs: "`evaluation.control`, an environment whose true state can be copied: not `gymnasium`",
        conditions: &[CONTROL, SIMULATED],
        ..of_return(
            "control/oracle_return",
            "return with the true state",
            "control/return of the same planner with the true state and the environment itself, from the same starts. `ilqr` \
             is replaced by `cem` of the same horizon",
        )
    },
    Declared {
        needs: "`training.collection`",
        conditions: &[CONTROL, ROUNDS],
        unit: "steps",
        ..of_return(
            "control/collected_steps",
            "steps of the environment",
            "steps of the training data after a round: the initial ones and those of all episodes collected so far",
        )
    },
    of_goal(
        "control/random_in_goal",
        "steps in the goal, random actions",
        "control/in_goal of uniformly random actions, from the same starts",
    ),
    of_return(
        "control/random_return",
        "return of random actions",
        "control/return of uniformly random actions, from the same starts",
    ),
    Declared {
        larger_is_better: Some(true),
        needs: "`training.collection`",
        conditions: &[CONTROL, ROUNDS],
        ..of_return(
            "control/round_return",
            "return of a round",
            "mean over the episodes of a round of collection of Σ_t r_t, with the noise of exploration; after training that of \
             the last round",
        )
    },
    Declared {
        larger_is_better: Some(true),
        conditions: &[CONTROL, IN_GOAL, SIMULATED],
        ..of_goal(
            "control/share_of_oracle",
            "share of the true state's score",
            "100 × control/in_goal / control/oracle_in_goal; missing where the latter is 0",
        )
    },
];

/// The family.
pub(super) struct Control;

impl Family for Control {
    fn declared(&self) -> &'static [Declared] {
        METRICS
    }

    fn faults(&self, tables: &Tables, shape: Option<&Shape>) -> Vec<Fault> {
        let of_collection = faults::of_collection(tables);
        let Some(control) = &tables.evaluation.control else {
            return of_collection.into_iter().collect();
        };
        let planner = control.planner.fault().map(|fault| fault.within("planner"));
        let of_environment = faults::of_environment(tables, control, shape);
        let of_model = faults::of_model(tables, control);
        let all = [planner, of_environment, of_model].into_iter().flatten();
        all.map(|fault| fault.within("evaluation.control"))
            .chain(of_collection)
            .collect()
    }

    fn of_trained(&self, job: &Job, trained: &Trained, tables: &Tables) -> Result<Vec<(String, f64)>> {
        let (Some(control), Some(environment)) = (&job.evaluation.control, tables.controlled()) else {
            return Ok(Vec::new());
        };
        let declaration = environment.declaration();
        let agent = planning(job, control, &declaration, &trained.theta, trained.steps)?;
        let oracle = TrueStatePlanner {
            planner: control.planner.by_costs(),
            controls: declaration.action.clone(),
        };
        let random = UniformlyRandom {
            controls: declaration.action.clone(),
        };
        let score = |agent: &dyn Agent| Score::of(&*environment, agent, control.tasks, job.streams);
        let own = score(&agent)?;
        let best = declaration.can_be_simulated.then(|| score(&oracle)).transpose()?;
        let worst = score(&random)?;
        let mut metrics = Vec::new();
        let mut note = |name: &str, value: Option<f64>| metrics.extend(value.map(|value| (name.to_owned(), value)));
        note("control/return", Some(own.total));
        note("control/oracle_return", best.map(|best| best.total));
        note("control/random_return", Some(worst.total));
        if counts_steps(&declaration) {
            let oracle = best.map(|best| best.in_goal);
            note("control/in_goal", Some(own.in_goal));
            note("control/in_goal_last_half", Some(own.last_half));
            note("control/oracle_in_goal", oracle);
            note("control/random_in_goal", Some(worst.in_goal));
            let share = oracle
                .filter(|oracle| *oracle > 0.0)
                .map(|oracle| 100.0 * own.in_goal / oracle);
            note("control/share_of_oracle", share);
        }
        Ok(metrics)
    }
}

/// The model under θ, after `steps` steps of training, as the planner of an environment.
pub(in crate::train) fn planning<'a>(
    job: &Job<'a>,
    control: &ControlConfig,
    declaration: &Declaration,
    theta: &Parameters,
    steps: u64,
) -> Result<LatentAgent<'a>> {
    let encoder = Encoder {
        model: job.model,
        theta: theta.constant(),
        posterior: job.posterior,
        steps,
        standardization: &job.splits.standardization,
    };
    LatentAgent::new(
        encoder,
        job.original.train.observed.columns(),
        declaration.action.clone(),
        control.planner.clone(),
        (control.cost, control.window, control.remembers_refused),
    )
}

/// Means over the tasks.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Score {
    /// The return.
    total: f64,
    /// The return per step, in percent.
    in_goal: f64,
    /// The same over the last half of the steps.
    last_half: f64,
}

impl Score {
    fn of(environment: &dyn EnvironmentKind, agent: &dyn Agent, tasks: usize, streams: &Streams) -> Result<Self> {
        let mut generators = starts(tasks, streams);
        let mut generators: Vec<&mut dyn Rng> = generators.iter_mut().map(|rng| rng as &mut dyn Rng).collect();
        let mut episodes = environment.begin(&mut generators).map_err(Error::Other)?;
        let horizon = environment.declaration().horizon;
        let mut halves = Vec::new();
        play(episodes.as_mut(), agent, streams, &mut |episodes, step| {
            if step == horizon / 2 {
                halves = episodes.episodes();
            }
        })?;
        Ok(Self::new(&halves, &episodes.episodes()))
    }

    /// The score of episodes that stood so at half time, and so at their ends.
    fn new(halves: &[Episode], ends: &[Episode]) -> Self {
        let count = ends.len().max(1) as f64;
        let mean = |value: &dyn Fn(usize, &Episode) -> f64| {
            ends.iter().enumerate().map(|(at, end)| value(at, end)).sum::<f64>() / count
        };
        let share = |reward: f64, steps: usize| 100.0 * reward / steps.max(1) as f64;
        Self {
            total: mean(&|_, end| end.total_reward),
            in_goal: mean(&|_, end| share(end.total_reward, end.length)),
            last_half: mean(&|at, end| {
                let half = halves.get(at).copied().unwrap_or_default();
                share(end.total_reward - half.total_reward, end.length - half.length)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_half_leaves_out_the_first() {
        let episode = |total_reward, length| Episode {
            total_reward,
            length,
            ..Episode::default()
        };
        // Of 10 steps: the first is in the goal for 1 of 5 and then 4 of 5, the second never.
        let halves = [episode(1.0, 5), episode(0.0, 5)];
        let score = Score::new(&halves, &[episode(5.0, 10), episode(0.0, 10)]);
        let expected = Score {
            total: 2.5,
            in_goal: 25.0,
            last_half: 40.0,
        };
        assert_eq!(score, expected);
    }
}
