//! Which combinations of model × posterior × objective × optimizer mean something. One table: it is checked before anything
//! runs, printed by `describe`, and drives the test matrix.

use super::TrainingConfig;
use crate::error::Fault;
use crate::model::{Abilities, ModelConfig};
use crate::objective::{Elbo, NoKeys, ObjectiveConfig};
use crate::posterior::{PosteriorConfig, Schedule};

/// One combination of kinds.
#[derive(Debug, Clone, PartialEq)]
pub struct Combination {
    /// The objective's kind.
    pub objective: &'static str,
    /// The posterior's kind.
    pub posterior: &'static str,
    /// The optimizer.
    pub optimizer: &'static str,
}

const POSTERIORS: [&str; 7] = [
    "exact",
    "sampled",
    "hard",
    "filter",
    "extended_kalman",
    "unscented_kalman",
    "particle",
];
const OPTIMIZERS: [&str; 2] = ["adam", "em"];

fn objectives() -> [(&'static str, ObjectiveConfig); 4] {
    [
        ("marginal_likelihood", ObjectiveConfig::MarginalLikelihood(NoKeys {})),
        (
            "expected_log_likelihood",
            ObjectiveConfig::ExpectedLogLikelihood(NoKeys {}),
        ),
        ("elbo", ObjectiveConfig::Elbo(Elbo::default())),
        ("mean_squared_error", ObjectiveConfig::MeanSquaredError(NoKeys {})),
    ]
}

fn is_lawful(model: Abilities, posterior: &str, objective: &ObjectiveConfig, optimizer: &str) -> bool {
    let posterior_is_used = objective.needs_posterior() || posterior == "exact";
    let mean_is_defined = !objective.needs_conditional() || model.conditional;
    let m_step_exists =
        optimizer != "em" || (model.closed_form && matches!(objective, ObjectiveConfig::ExpectedLogLikelihood(_)));
    posterior_is_used
        && posterior_exists(model, posterior)
        && likelihood_exists(model, objective)
        && mean_is_defined
        && m_step_exists
}

/// Posteriors of trajectories need sequences; all that are not approximate need a closed form.
fn posterior_exists(model: Abilities, posterior: &str) -> bool {
    match posterior {
        "extended_kalman" | "unscented_kalman" | "particle" => model.sequential,
        "filter" => model.sequential && model.exact_posterior,
        _ => model.exact_posterior,
    }
}

fn likelihood_exists(model: Abilities, objective: &ObjectiveConfig) -> bool {
    model.exact_posterior || !matches!(objective, ObjectiveConfig::MarginalLikelihood(_))
}

/// Every lawful combination with a model of these abilities.
pub fn lawful_combinations(model: Abilities) -> Vec<Combination> {
    let mut lawful = Vec::new();
    for (name, objective) in &objectives() {
        for posterior in POSTERIORS {
            for optimizer in OPTIMIZERS {
                if is_lawful(model, posterior, objective, optimizer) {
                    lawful.push(Combination {
                        objective: name,
                        posterior,
                        optimizer,
                    });
                }
            }
        }
    }
    lawful
}

/// The fault of an unlawful combination; none if it is lawful.
pub fn unlawful(
    model: &ModelConfig,
    posterior: &PosteriorConfig,
    objective: &ObjectiveConfig,
    training: &TrainingConfig,
) -> Option<Fault> {
    let abilities = model.abilities();
    let posterior_kind = match posterior {
        PosteriorConfig::Exact(_) => "exact",
        PosteriorConfig::Sampled(_) => "sampled",
        PosteriorConfig::Hard(_) => "hard",
        PosteriorConfig::Filter(_) => "filter",
        PosteriorConfig::ExtendedKalman(_) => "extended_kalman",
        PosteriorConfig::UnscentedKalman(_) => "unscented_kalman",
        PosteriorConfig::Particle(_) => "particle",
    };
    let optimizer = match training {
        TrainingConfig::Adam(_) => "adam",
        TrainingConfig::Em(_) => "em",
    };
    let kind = |objective: &ObjectiveConfig| {
        let same = |other: &ObjectiveConfig| std::mem::discriminant(other) == std::mem::discriminant(objective);
        objectives()
            .into_iter()
            .find(|(_, other)| same(other))
            .map_or("", |(name, _)| name)
    };
    let objective_kind = kind(objective);
    let describe = |lawful: &Combination| format!("{} × {} × {}", lawful.objective, lawful.posterior, lawful.optimizer);
    let list = || {
        let lines: Vec<String> = lawful_combinations(abilities).iter().map(describe).collect();
        format!(
            "lawful objective × posterior × optimizer for this model: {}",
            lines.join(", ")
        )
    };
    if !is_lawful(abilities, posterior_kind, objective, optimizer) {
        let (key, message, expected) = if !likelihood_exists(abilities, objective) {
            (
                "objective.kind",
                "this model's likelihood has no closed form".to_owned(),
                "`expected_log_likelihood` or `elbo`",
            )
        } else if !posterior_exists(abilities, posterior_kind) && abilities.sequential {
            (
                "posterior.kind",
                format!("this model's posterior has no closed form, and `{posterior_kind}` needs it"),
                "`extended_kalman`, `unscented_kalman` or `particle`",
            )
        } else if !posterior_exists(abilities, posterior_kind) {
            (
                "posterior.kind",
                format!("`{posterior_kind}` follows a trajectory through time, and this model has none"),
                "`exact`, `sampled` or `hard`",
            )
        } else if objective.needs_conditional() && !abilities.conditional {
            (
                "objective.kind",
                "a density has no E[y|x] to compare y with".to_owned(),
                "a conditional model",
            )
        } else if optimizer == "em" && !abilities.closed_form {
            (
                "training.optimizer",
                "this model has no closed-form M-step".to_owned(),
                "`optimizer = \"adam\"`",
            )
        } else if optimizer == "em" {
            let message = format!("EM ascends the expected log-likelihood, not `{objective_kind}`");
            (
                "objective.kind",
                message,
                "`expected_log_likelihood`, or `optimizer = \"adam\"`",
            )
        } else {
            let message = format!("`{objective_kind}` uses no posterior, so `{posterior_kind}` would be ignored");
            (
                "posterior.kind",
                message,
                "`exact`, or an objective that uses the posterior",
            )
        };
        return Some(Fault::new(key, message, expected, list()));
    }
    if abilities.sequential && posterior.common().temperature != Schedule::Constant(1.0) {
        return Some(Fault::new(
            "posterior.temperature",
            "beliefs over trajectories have no temperature",
            "no such key for models of sequences",
            "remove it",
        ));
    }
    let ignored = !objective.needs_posterior() && !posterior.is_exact_and_fresh();
    ignored.then(|| {
        Fault::new(
            "posterior",
            format!("`{objective_kind}` uses no posterior, so these options would be ignored"),
            "no options here",
            "remove them, or choose `expected_log_likelihood`",
        )
    })
}
