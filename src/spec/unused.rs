//! Keys without effect: each is a fault that says what would give it an effect.
//!
//! A key that silently changes nothing makes two equal variants look different. Rules within one kind are checked in
//! its file (`fixed_deviation` beside a standard deviation per column), those of `[evaluation]` by the families of metrics;
//! other rules across tables are here. A key with its default value is never refused. A key that variants share is refused if it has no effect in any of them.

use super::Spec;
use crate::data::GeneratorKind;
use crate::data::source::Widths;
use crate::error::Fault;
use crate::kind;
use crate::objective::Setting;
use crate::posterior::{Common, PosteriorKind, Schedule};
use crate::train::AdamConfig;

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
    training(spec, widths, &mut found);
    let setting = Setting {
        model: &spec.model.abilities(),
        fit: spec.posterior.network().map(|network| network.fit),
        is_stepwise: spec.posterior.facts().is_stepwise,
    };
    let of_data = spec.data.source.generator().and_then(GeneratorKind::unused);
    let of_objective = spec.objective.unused(&setting).into_iter();
    let fault = |Unused { key, reason, acts }: Unused| Fault::unused(&key, reason, acts);
    let found = found.0.into_iter().map(fault);
    found
        .chain(of_data.map(|fault| fault.within("data")))
        .chain(of_objective.map(|fault| fault.within("objective")))
        .collect()
}

const NO_LATENT: &str = "a model of one component has no latent variable";
const MORE_COMPONENTS: &str = "a mixture of at least 2 components";

fn posterior(spec: &Spec, found: &mut Found) {
    let (common, defaults) = (spec.posterior.common(), Common::default());
    let has_temperature = common.temperature != defaults.temperature;
    let facts = spec.posterior.facts();
    if spec.model.abilities().has_no_latent() {
        found.note("posterior.temperature", has_temperature, NO_LATENT, MORE_COMPONENTS);
        let is_stale = common.refresh_every != defaults.refresh_every;
        found.note("posterior.refresh_every", is_stale, NO_LATENT, MORE_COMPONENTS);
        let plain = kind::find::<dyn PosteriorKind>(spec.posterior.name()).and_then(|kind| kind.default_options().ok());
        let is_sampled = plain.is_some_and(|plain| plain.facts().samples != facts.samples);
        found.note("posterior.samples", is_sampled, NO_LATENT, MORE_COMPONENTS);
        return;
    }
    if let Some(reason) = facts.without_temperature {
        found.note(
            "posterior.temperature",
            has_temperature,
            reason,
            "another posterior, or more draws",
        );
    }
}

fn training(spec: &Spec, widths: Widths, found: &mut Found) {
    let model = spec.model.abilities();
    if let Some(adam) = spec.training.adam() {
        let defaults = AdamConfig::default();
        found.note(
            "training.weight_decay",
            adam.weight_decay != defaults.weight_decay
                && !model.has_weight_matrices
                && spec.posterior.network().is_none(),
            "only weight matrices decay, and there is none",
            "a model or posterior with a linear map or a network",
        );
        found.note(
            "training.window",
            adam.window.is_some() && !model.is_sequential(),
            "rows are independent",
            "a model of sequences",
        );
        found.note(
            "training.start_share",
            adam.start_share != defaults.start_share && adam.starts == 1,
            "there is one start",
            "`training.starts` above 1",
        );
        found.note(
            "training.given_noise",
            adam.given_noise != defaults.given_noise && widths.given == 0,
            "nothing is given",
            "data with given columns",
        );
    }
    let is_drawn = spec.posterior.facts().is_drawn;
    found.note(
        "training.starts",
        spec.training.starts() > 1 && (model.has_no_latent() || model.has_one_start && !is_drawn),
        "all starts have the same initial values",
        "initial values that are drawn",
    );
}

/// Schedules that are longer than training, and so would never reach their final value.
pub(super) fn unfinished_schedules(spec: &Spec) -> Vec<Fault> {
    let steps = spec.training.steps();
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
    if let Some((name, key, length)) = spec.objective.schedule() {
        check(&format!("objective.{key}"), name, length);
    }
    faults
}
