//! The table `[evaluation]` of an experiment file.

use super::{ActionRule, LatentRule};
use crate::environment::EnvironmentConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The table `[evaluation]`: metrics beside the log-likelihoods, and roll-outs after training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EvaluationConfig {
    /// The metrics of the comparison, as `list metric` names them; the part before the slash may be left out. The first
    /// one ranks the variants and is plotted; the others are tabulated below. Without this key the first is
    /// `rollout/success_rate`, `rollout/return` or the log-likelihood, of the test rows if there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<String>,
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
    /// Roll-outs of the trained model as a policy; none without this table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutConfig>,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            metrics: Vec::new(),
            estimator_repeats: 0,
            bound_samples: 100,
            warm_up: 10,
            horizon: 10,
            rollout: None,
        }
    }
}

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
