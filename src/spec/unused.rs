//! Keys without effect: each is a fault that says what would give it an effect.
//!
//! A key that silently changes nothing makes two equal variants look different. Rules within one kind are checked in
//! its file (`fixed_deviation` beside a standard deviation per column); the rules across tables are here. A key with
//! its default value is never refused. A key that variants share is refused if it has no effect in any of them.

use super::Spec;
use crate::control::{EvaluationConfig, LatentRule};
use crate::data::Source;
use crate::data::source::Widths;
use crate::error::Fault;
use crate::model::{LikelihoodKind, ModelConfig};
use crate::objective::{Elbo, Gradient, Iwae, ObjectiveConfig};
use crate::posterior::{Common, Fit, PosteriorConfig, Schedule};
use crate::train::{AdamConfig, TrainingConfig};

/// One key with a value that would change nothing.
struct Unused {
    key: String,
    /// Why it would change nothing.
    reason: &'static str,
    /// What would give it an effect.
    acts: &'static str,
}

/// The keys found so far.
#[derive(Default)]
struct Found(Vec<Unused>);

impl Found {
    /// The key `key` would change nothing if `is_unused`.
    fn note(&mut self, key: &str, is_unused: bool, reason: &'static str, acts: &'static str) {
        if is_unused {
            self.0.push(Unused {
                key: key.to_owned(),
                reason,
                acts,
            });
        }
    }
}

/// Every key without effect in `spec`, for rows of these widths.
pub(super) fn unused(spec: &Spec, widths: Widths) -> Vec<Fault> {
    let mut found = Found::default();
    posterior(spec, &mut found);
    objective(spec, &mut found);
    training(spec, widths, &mut found);
    evaluation(spec, &mut found);
    if let Source::Lgssm(generator) = &spec.data.source {
        found.note(
            "data.input_range",
            widths.given == 0 && generator.input_range != latent_lab_envs::Lgssm::default().input_range,
            "this state space has no input",
            "a `transition_input` with at least one column",
        );
    }
    let fault = |Unused { key, reason, acts }: Unused| Fault::unused(&key, reason, acts);
    found.0.into_iter().map(fault).collect()
}

const NO_LATENT: &str = "a model of one component has no latent variable";
const MORE_COMPONENTS: &str = "a mixture of at least 2 components";

fn posterior(spec: &Spec, found: &mut Found) {
    let (common, defaults) = (spec.posterior.common(), Common::default());
    let has_temperature = common.temperature != defaults.temperature;
    if spec.model.has_no_latent() {
        let is_sampled = matches!(&spec.posterior, PosteriorConfig::Sampled(sampled) if sampled.samples != 1);
        found.note("posterior.temperature", has_temperature, NO_LATENT, MORE_COMPONENTS);
        let is_stale = common.refresh_every != defaults.refresh_every;
        found.note("posterior.refresh_every", is_stale, NO_LATENT, MORE_COMPONENTS);
        found.note("posterior.samples", is_sampled, NO_LATENT, MORE_COMPONENTS);
        return;
    }
    found.note(
        "posterior.temperature",
        has_temperature && matches!(spec.posterior, PosteriorConfig::Hard(_)),
        "the most likely z is the same at every temperature",
        "`exact` or `sampled`",
    );
    found.note(
        "posterior.temperature",
        has_temperature
            && matches!(&spec.posterior, PosteriorConfig::Importance(importance) if importance.samples == 1),
        "the weight of a single draw is always 1",
        "at least 2 `samples`",
    );
}

fn objective(spec: &Spec, found: &mut Found) {
    let fit = spec.posterior.fit().map(|(fit, _)| fit);
    match &spec.objective {
        ObjectiveConfig::Elbo(elbo) => {
            let defaults = Elbo::default();
            let has_warm_up = elbo.warm_up_steps != defaults.warm_up_steps;
            let has_free_nats = elbo.free_nats != defaults.free_nats;
            let keys = [
                ("objective.beta", elbo.beta != defaults.beta),
                ("objective.free_nats", has_free_nats),
                ("objective.warm_up_steps", has_warm_up),
            ];
            let is_trained = matches!(fit, Some(Fit::ReverseKl | Fit::Objective));
            for (key, is_given) in keys {
                if spec.model.has_no_latent() {
                    found.note(key, is_given, NO_LATENT, MORE_COMPONENTS);
                } else if !is_trained && !spec.model.learns_prior() {
                    found.note(
                        key,
                        is_given,
                        "KL(q ‖ p(z)) has no parameter that the objective trains: the prior is fixed, and the posterior is not \
                         trained by the bound",
                        "a prior that is learnt, or `amortised` with `fit = \"reverse_kl\"`",
                    );
                } else {
                    let is_void = elbo.beta == 0.0 && key != "objective.beta";
                    found.note(
                        key,
                        is_given && is_void,
                        "β = 0 leaves KL(q ‖ p(z)) out",
                        "`beta` above 0",
                    );
                }
            }
        }
        ObjectiveConfig::Iwae(iwae) => found.note(
            "objective.gradient",
            iwae.gradient != Iwae::default().gradient
                && iwae.gradient == Gradient::DoublyReparameterised
                && fit != Some(Fit::Objective),
            "it is the gradient of a recognition network that is trained by this objective, and there is none",
            "`posterior.kind = \"amortised\"` with `fit = \"objective\"`",
        ),
        _ => {}
    }
}

fn training(spec: &Spec, widths: Widths, found: &mut Found) {
    match &spec.training {
        TrainingConfig::Adam(adam) => {
            let defaults = AdamConfig::default();
            found.note(
                "training.weight_decay",
                adam.weight_decay != defaults.weight_decay
                    && !spec.model.has_weight_matrices()
                    && spec.posterior.fit().is_none(),
                "only weight matrices decay, and there is none",
                "a model or posterior with a linear map or a network",
            );
            found.note(
                "training.given_noise",
                adam.given_noise != defaults.given_noise && widths.given == 0,
                "nothing is given",
                "data with given columns",
            );
        }
        TrainingConfig::Em(em) => found.note(
            "training.starts",
            em.starts > 1 && (spec.model.has_no_latent() || spec.model.has_one_start() && !spec.posterior.is_drawn()),
            "all starts have the same initial values",
            "initial values that are drawn",
        ),
    }
}

fn evaluation(spec: &Spec, found: &mut Found) {
    let (evaluation, defaults) = (&spec.evaluation, EvaluationConfig::default());
    let abilities = spec.model.abilities();
    found.note(
        "evaluation.bound_samples",
        evaluation.bound_samples != defaults.bound_samples && !spec.has_bound(),
        "no bound is estimated by draws: the latent variable is finite or a trajectory, or the likelihood needs no bound",
        "a continuous latent variable, with a recognition network or with more dimensions than a grid can cover",
    );
    for (key, is_given) in [
        ("evaluation.warm_up", evaluation.warm_up != defaults.warm_up),
        ("evaluation.horizon", evaluation.horizon != defaults.horizon),
    ] {
        found.note(
            key,
            is_given && abilities.sequential && !spec.has_test_rows(),
            "predictions are scored on test sequences, and there are none",
            "`data.test_fraction` or `data.test_path`",
        );
    }
    found.note(
        "evaluation.latent",
        evaluation.latent == LatentRule::PerEpisode && spec.model.has_no_latent(),
        NO_LATENT,
        MORE_COMPONENTS,
    );
}

/// Schedules that are longer than training, and so would never reach their final value.
pub(super) fn unfinished_schedules(spec: &Spec) -> Vec<Fault> {
    let steps = match &spec.training {
        TrainingConfig::Adam(adam) => adam.steps,
        TrainingConfig::Em(em) => em.steps,
    };
    let mut faults = Vec::new();
    let mut check = |key: &str, what: &str, length: u64| {
        if length > steps {
            faults.push(Fault::new(
                key,
                format!(
                    "{what} takes {length} steps, and training has {steps}: its final value would never be reached"
                ),
                "at most `training.steps`",
                "shorten it, or train for longer",
            ));
        }
    };
    if let Schedule::Path { steps, .. } = spec.posterior.common().temperature {
        check("posterior.temperature.steps", "the path of the temperature", steps);
    }
    if let ObjectiveConfig::Elbo(elbo) = &spec.objective {
        check("objective.warm_up_steps", "the warm-up of β", elbo.warm_up_steps);
    }
    faults
}

impl Spec {
    /// Whether there are rows to test on.
    pub(super) fn has_test_rows(&self) -> bool {
        match &self.data.source {
            Source::File(file) => file.test_fraction > 0.0 || file.test_path.is_some(),
            _ => true,
        }
    }

    /// How log p(x) is computed.
    pub(super) fn likelihood(&self) -> LikelihoodKind {
        match &self.model {
            ModelConfig::LatentGaussian(config) => config.likelihood_kind(self.data.is_given()),
            ModelConfig::NonlinearGaussianSsm(_) => LikelihoodKind::Estimate,
            _ => LikelihoodKind::Exact,
        }
    }

    /// Whether bounds of log p(x) are estimated by draws of z: for a continuous latent variable with a recognition
    /// network, or of more dimensions than a grid can cover.
    pub(super) fn has_bound(&self) -> bool {
        let abilities = self.model.abilities();
        let is_continuous = !abilities.finite_latent && !abilities.sequential;
        is_continuous && (self.posterior.fit().is_some() || self.likelihood() == LikelihoodKind::Bound)
    }
}
