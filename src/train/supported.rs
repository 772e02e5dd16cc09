//! The supported combinations of model × posterior × objective × optimizer. This one table is checked before anything
//! runs, printed by `describe`, and used by the tests.

use super::{Device, TrainingConfig};
use crate::error::Fault;
use crate::model::{Abilities, ModelConfig};
use crate::objective::{Elbo, Iwae, NoKeys, ObjectiveConfig};
use crate::posterior::{Common, PosteriorConfig, Schedule};

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

const POSTERIORS: [&str; 10] = [
    "exact",
    "sampled",
    "hard",
    "amortised",
    "importance",
    "hamiltonian",
    "filter",
    "extended_kalman",
    "unscented_kalman",
    "particle",
];
const OPTIMIZERS: [&str; 2] = ["adam", "em"];

fn objectives() -> [(&'static str, ObjectiveConfig); 5] {
    [
        ("marginal_likelihood", ObjectiveConfig::MarginalLikelihood(NoKeys {})),
        (
            "expected_log_likelihood",
            ObjectiveConfig::ExpectedLogLikelihood(NoKeys {}),
        ),
        ("elbo", ObjectiveConfig::Elbo(Elbo::default())),
        ("iwae", ObjectiveConfig::Iwae(Iwae::default())),
        ("mean_squared_error", ObjectiveConfig::MeanSquaredError(NoKeys {})),
    ]
}

/// Why a combination is not supported: the key at fault, the problem, what was expected. None if it is supported.
fn refusal(
    model: Abilities,
    posterior: &str,
    objective: (&str, &ObjectiveConfig),
    optimizer: &str,
) -> Option<(&'static str, String, &'static str)> {
    let (objective_kind, objective) = objective;
    let is_network = matches!(posterior, "amortised" | "importance");
    let is_of_trajectories = matches!(
        posterior,
        "filter" | "extended_kalman" | "unscented_kalman" | "particle"
    );
    let needs_closed_form = matches!(posterior, "exact" | "sampled" | "hard" | "filter");
    let uses = objective.needs_posterior();
    let is_expected = matches!(objective, ObjectiveConfig::ExpectedLogLikelihood(_));
    let rules = [
        (
            is_of_trajectories && !model.sequential,
            "posterior.kind",
            format!("`{posterior}` is a posterior of trajectories, and this model has none"),
            "`exact`, `sampled` or `hard`",
        ),
        (
            objective.needs_conditional() && !model.conditional,
            "objective.kind",
            "a density has no E[y|x] to compare y with".to_owned(),
            "a conditional model",
        ),
        (
            objective.needs_conditional() && !model.finite_latent,
            "objective.kind",
            "this model's E[y|x] has no closed form".to_owned(),
            "an objective of probabilities",
        ),
        (
            matches!(objective, ObjectiveConfig::MarginalLikelihood(_)) && !model.exact_likelihood,
            "objective.kind",
            "this model's log p(x) has no closed form that can be maximised".to_owned(),
            "`elbo`, `iwae` or `expected_log_likelihood`",
        ),
        (
            optimizer == "em" && !model.closed_form,
            "training.optimizer",
            "this model has no closed-form M-step".to_owned(),
            "`optimizer = \"adam\"`",
        ),
        (
            optimizer == "em" && !is_expected,
            "objective.kind",
            format!("EM maximises the expected log-likelihood, not `{objective_kind}`"),
            "`expected_log_likelihood`, or `optimizer = \"adam\"`",
        ),
        (
            optimizer == "em" && is_network,
            "posterior.kind",
            format!("EM is for posteriors without a network, and `{posterior}` may have one"),
            "`exact`, `sampled` or `hard`, or `optimizer = \"adam\"`",
        ),
        (
            optimizer == "em" && !model.finite_latent && !model.sequential && posterior != "exact",
            "posterior.kind",
            format!("the M-step of a continuous latent needs its true posterior, not `{posterior}`"),
            "`exact`, or `optimizer = \"adam\"`",
        ),
        (
            !uses && posterior != "exact",
            "posterior.kind",
            format!("`{objective_kind}` uses no posterior, so `{posterior}` would be ignored"),
            "`exact`, or an objective that uses the posterior",
        ),
        (
            posterior == "hamiltonian" && (model.sequential || model.finite_latent),
            "posterior.kind",
            "`hamiltonian` needs the gradient of a continuous latent variable, and this model has none".to_owned(),
            "`exact`, `sampled` or `hard`",
        ),
        (
            is_network && model.sequential,
            "posterior.kind",
            format!("`{posterior}` is a posterior of independent rows, and this model is one of sequences"),
            "`exact`, `sampled`, `hard` or `filter`",
        ),
        (
            uses && needs_closed_form && !model.exact_posterior,
            "posterior.kind",
            format!("this model's true posterior has no closed form, and `{posterior}` needs it"),
            match model.sequential {
                true => "`extended_kalman`, `unscented_kalman` or `particle`",
                false => "`amortised`, `importance` or `hamiltonian`",
            },
        ),
        (
            matches!(objective, ObjectiveConfig::Elbo(_)) && posterior == "importance",
            "posterior.kind",
            "self-normalised draws have no tractable q(z|x), so their entropy is unknown".to_owned(),
            "`amortised`, or `objective.kind = \"expected_log_likelihood\"`",
        ),
        (
            matches!(objective, ObjectiveConfig::Elbo(_)) && posterior == "hamiltonian",
            "posterior.kind",
            "log q of the last state of a chain is unknown, so the entropy is unknown".to_owned(),
            "`amortised`, or `objective.kind = \"expected_log_likelihood\"`",
        ),
        (
            matches!(objective, ObjectiveConfig::Iwae(_))
                && (model.sequential || (posterior != "sampled" && (model.finite_latent || posterior != "amortised"))),
            "posterior.kind",
            format!(
                "`iwae` needs equally weighted draws from a tractable q(z|x), which `{posterior}` does not give here"
            ),
            "`amortised` with a continuous latent, `sampled` with a finite one",
        ),
    ];
    let broken = rules.into_iter().find(|(is_broken, ..)| *is_broken);
    broken.map(|(_, key, message, expected)| (key, message, expected))
}

/// The supported combinations with a model of these abilities.
pub fn supported_combinations(model: Abilities) -> Vec<Combination> {
    let mut supported = Vec::new();
    for (name, objective) in &objectives() {
        for posterior in POSTERIORS {
            for optimizer in OPTIMIZERS {
                if refusal(model, posterior, (name, objective), optimizer).is_none() {
                    supported.push(Combination {
                        objective: name,
                        posterior,
                        optimizer,
                    });
                }
            }
        }
    }
    supported
}

/// The fault of an unsupported combination; none if it is supported.
pub fn unsupported(
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
        PosteriorConfig::Amortised(_) => "amortised",
        PosteriorConfig::Importance(_) => "importance",
        PosteriorConfig::Hamiltonian(_) => "hamiltonian",
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
    let describe = |supported: &Combination| {
        format!(
            "{} × {} × {}",
            supported.objective, supported.posterior, supported.optimizer
        )
    };
    let list = || {
        let lines: Vec<String> = supported_combinations(abilities).iter().map(describe).collect();
        format!(
            "supported objective × posterior × optimizer for this model: {}",
            lines.join(", ")
        )
    };
    let refused = refusal(abilities, posterior_kind, (objective_kind, objective), optimizer);
    if let Some((key, message, expected)) = refused {
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
    if let TrainingConfig::Adam(config) = training
        && abilities.sequential
        && config.device != Device::Cpu
    {
        return Some(Fault::new(
            "training.device",
            "models of sequences run on the CPU only: their operations have no GPU version",
            "`device = \"cpu\"`",
            "remove it",
        ));
    }
    let continuous = !abilities.finite_latent && !abilities.sequential;
    let is_closed = matches!(
        posterior,
        PosteriorConfig::Exact(_) | PosteriorConfig::Sampled(_) | PosteriorConfig::Hard(_)
    );
    // The common option of posteriors that is set.
    let option = match posterior.common().refresh_every == Common::default().refresh_every {
        true => "posterior.temperature",
        false => "posterior.refresh_every",
    };
    if continuous && is_closed && *posterior.common() != Common::default() {
        return Some(Fault::new(
            option,
            "the posterior of a continuous latent cannot be stale or tempered here",
            "no `refresh_every` and no `temperature`",
            "remove them, or choose `importance`",
        ));
    }
    let ignored = !objective.needs_posterior() && !posterior.is_exact_and_fresh();
    ignored.then(|| {
        Fault::new(
            option,
            format!("`{objective_kind}` uses no posterior, so these options would be ignored"),
            "no options here",
            "remove them, or choose `expected_log_likelihood`",
        )
    })
}
