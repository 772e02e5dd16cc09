//! Which combinations of model × posterior × objective × optimizer are supported.
//!
//! The table is derived: a posterior and an objective declare what they need, a model declares what it can do. It is checked
//! before anything runs, printed by `describe`, and drives the test matrix.

use super::{Device, TrainingConfig};
use crate::error::Fault;
use crate::kind::{self, Chosen, Family};
use crate::model::{Abilities, MStep, ModelConfig, Need};
use crate::objective::{ObjectiveConfig, ObjectiveKind, PosteriorUse};
use crate::posterior::{Common, DrawsOf, PosteriorConfig, PosteriorKind, Schedule};

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

/// The optimizers, in the order in which they are listed.
pub const OPTIMIZERS: [&str; 2] = [TrainingConfig::ADAM, TrainingConfig::EM];

/// The key at fault and what is wrong with it.
type Refusal = (&'static str, String);

/// Every kind of a family with its default options.
fn defaults<F: Family + ?Sized>() -> Vec<Chosen<F>> {
    let entries = kind::entries::<F>().into_iter();
    entries.filter_map(|entry| entry.default_options().ok()).collect()
}

/// Why a combination is not supported; none if it is.
fn refusal(
    model: &Abilities,
    posterior: &PosteriorConfig,
    objective: &ObjectiveConfig,
    optimizer: &str,
) -> Option<Refusal> {
    let (of_posterior, of_objective) = (posterior.name(), objective.name());
    let lacking = |needs: &[Need]| needs.iter().copied().find(|need| !model.has(*need));
    if let Some(need) = lacking(objective.needs()) {
        return Some(("objective.kind", need.reason(of_objective)));
    }
    let is_em = optimizer == TrainingConfig::EM;
    if is_em && model.m_step == MStep::None {
        return Some(("training.optimizer", "this model has no closed-form M-step".to_owned()));
    }
    if is_em && !objective.is_of_em() {
        let message = format!("EM maximises the expected log-likelihood, not `{of_objective}`");
        return Some(("objective.kind", message));
    }
    refusal_of_posterior(model, posterior, objective, is_em)
        .or_else(|| lacking(posterior.needs()).map(|need| need.reason(of_posterior)))
        .map(|message| ("posterior.kind", message))
}

/// Why a posterior does not go with an objective and an optimizer.
fn refusal_of_posterior(
    model: &Abilities,
    posterior: &PosteriorConfig,
    objective: &ObjectiveConfig,
    is_em: bool,
) -> Option<String> {
    let (of_posterior, of_objective) = (posterior.name(), objective.name());
    let facts = posterior.facts();
    let posterior_use = objective.posterior_use();
    if posterior_use == PosteriorUse::None {
        let message = format!("`{of_objective}` uses no posterior, so `{of_posterior}` would be ignored");
        return (!facts.is_exact).then_some(message);
    }
    if is_em && facts.may_have_network {
        return Some(format!(
            "EM is for posteriors without a network, and `{of_posterior}` may have one"
        ));
    }
    if is_em && model.m_step == MStep::ExactPosterior && !facts.is_exact {
        return Some(format!(
            "the M-step of this model is in closed form for its true posterior only, not for `{of_posterior}`"
        ));
    }
    match (posterior_use, facts.draws) {
        (PosteriorUse::Draws | PosteriorUse::KnownDensity, DrawsOf::Proposal) => Some(format!(
            "`{of_objective}` averages over the posterior, and `{of_posterior}` is a proposal, whose draws are to be weighed"
        )),
        (PosteriorUse::KnownDensity, DrawsOf::Unknown(reason)) => Some(format!("`{of_objective}`: {reason}")),
        (PosteriorUse::Stepwise, _) if !facts.is_stepwise && model.has(Need::Paths) => Some(format!(
            "`{of_objective}` moves particles by q of one state after another, which `{of_posterior}` does not give here"
        )),
        (PosteriorUse::IndependentDraws | PosteriorUse::Stepwise, draws) if !draws.are_independent(model.latent) => {
            Some(format!(
                "`{of_objective}` needs equally likely draws from a known q(z|x), which `{of_posterior}` does not give here"
            ))
        }
        _ => None,
    }
}

/// Every supported combination with a model of these abilities.
pub fn supported_combinations(model: Abilities) -> Vec<Combination> {
    let posteriors = defaults::<dyn PosteriorKind>();
    let mut supported = Vec::new();
    for objective in &defaults::<dyn ObjectiveKind>() {
        for posterior in &posteriors {
            for optimizer in OPTIMIZERS {
                if refusal(&model, posterior, objective, optimizer).is_none() {
                    supported.push(Combination {
                        objective: objective.name(),
                        posterior: posterior.name(),
                        optimizer,
                    });
                }
            }
        }
    }
    supported
}

/// The value of `key` that would be supported beside the others.
fn expected(key: &str, supported: &[Combination], asked: &Combination) -> String {
    let value = |combination: &Combination| match key {
        "posterior.kind" => format!("`{}`", combination.posterior),
        "objective.kind" => format!("`{}`", combination.objective),
        _ => format!("`optimizer = {:?}`", combination.optimizer),
    };
    let differs_only_there = |other: &Combination| {
        (key == "posterior.kind" || key == "objective.kind" || other.posterior == asked.posterior)
            && (key == "objective.kind" || other.objective == asked.objective)
            && (key == "training.optimizer" || other.optimizer == asked.optimizer)
    };
    let mut names: Vec<String> = Vec::new();
    if key == "posterior.kind" && supported.contains(asked) {
        names.push(format!("other options of `{}`", asked.posterior));
    }
    for combination in supported.iter().filter(|other| differs_only_there(other)) {
        let name = value(combination);
        if combination != asked && !names.contains(&name) {
            names.push(name);
        }
    }
    if asked.optimizer == TrainingConfig::EM && key != "training.optimizer" {
        names.push(format!("`optimizer = {:?}`", TrainingConfig::ADAM));
    }
    match names.as_slice() {
        [] => "another combination".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// The fault of an unsupported combination; none if it is supported.
pub fn unsupported(
    model: &ModelConfig,
    posterior: &PosteriorConfig,
    objective: &ObjectiveConfig,
    training: &TrainingConfig,
) -> Option<Fault> {
    let abilities = model.abilities();
    let asked = Combination {
        objective: objective.name(),
        posterior: posterior.name(),
        optimizer: training.name(),
    };
    if let Some((key, message)) = refusal(&abilities, posterior, objective, asked.optimizer) {
        let supported = supported_combinations(abilities);
        let lines: Vec<String> = supported
            .iter()
            .map(|one| format!("{} × {} × {}", one.objective, one.posterior, one.optimizer))
            .collect();
        return Some(Fault::new(
            key,
            message,
            expected(key, &supported, &asked),
            format!(
                "supported objective × posterior × optimizer for this model: {}",
                lines.join(", ")
            ),
        ));
    }
    unsupported_options(&abilities, posterior, objective, training)
}

/// The fault of an option that a supported combination does not have.
fn unsupported_options(
    abilities: &Abilities,
    posterior: &PosteriorConfig,
    objective: &ObjectiveConfig,
    training: &TrainingConfig,
) -> Option<Fault> {
    let (common, plain) = (posterior.common(), Common::default());
    if abilities.is_sequential() && common.temperature != Schedule::Constant(1.0) {
        return Some(Fault::new(
            "posterior.temperature",
            "beliefs over trajectories have no temperature",
            "no such key for models of sequences",
            "remove it",
        ));
    }
    if let Some(config) = training.adam()
        && abilities.is_sequential()
        && config.device != Device::Cpu
    {
        return Some(Fault::new(
            "training.device",
            "models of sequences run on the CPU only: their operations have no GPU version",
            "`device = \"cpu\"`",
            "remove it",
        ));
    }
    // The option of every posterior that is given.
    let option = match common.refresh_every == plain.refresh_every {
        true => "posterior.temperature",
        false => "posterior.refresh_every",
    };
    let is_of_closed_form = posterior.needs().contains(&Need::ExactPosterior);
    if abilities.has(Need::ContinuousLatent) && is_of_closed_form && *common != plain {
        return Some(Fault::new(
            option,
            "the posterior of a continuous latent is neither stale nor tempered here",
            "no `refresh_every` and no `temperature`",
            "remove them, or choose `importance`",
        ));
    }
    let ignored = !objective.needs_posterior() && !posterior.is_exact_and_fresh();
    ignored.then(|| {
        Fault::new(
            option,
            format!(
                "`{}` uses no posterior, so these options would be ignored",
                objective.name()
            ),
            "no options here",
            "remove them, or choose `expected_log_likelihood`",
        )
    })
}
