//! The metric of a comparison, with its oracle and its baseline.

use super::{Reference, VariantSummary};
use crate::runner::Experiment;
use crate::spec::Spec;
use crate::stats;
use crate::train::metrics::{self, Metric};
use latent_lab_envs::Yardsticks;
use std::collections::BTreeMap;

/// How a log-likelihood can be computed, best first: exact, summed over a grid, estimated, or bounded from below.
const LIKELIHOODS: [&str; 4] = [
    "log_likelihood",
    "log_likelihood_grid",
    "log_likelihood_estimate",
    "log_likelihood_bound",
];

/// The metric that the file names; or the first of the usual ones that any run has; or, before anything has run, the
/// one that its runs will have.
pub(super) fn chosen_metric(spec: &Spec, variants: &[VariantSummary]) -> &'static Metric {
    let named = spec.evaluation.metrics.first().cloned();
    let likelihoods = |part: &'static str| LIKELIHOODS.map(|name| format!("{part}/{name}"));
    let usual = || {
        let rollouts = ["rollout/success_rate", "rollout/return"].map(str::to_owned);
        rollouts
            .into_iter()
            .chain(likelihoods("test"))
            .chain(likelihoods("train"))
    };
    let measured = |name: &String| variants.iter().any(|variant| variant.summary.contains_key(name));
    let name = named.or_else(|| usual().find(measured));
    let name = name.or_else(|| usual().find(|name| will_be_measured(spec, name)));
    name.and_then(|name| metrics::find(&name))
        .unwrap_or(&metrics::METRICS[0])
}

/// Whether a finished run of `spec` will have one of the usual metrics.
fn will_be_measured(spec: &Spec, metric: &str) -> bool {
    let has_test = spec.has_test_rows();
    let likelihood = spec.likelihood().metric();
    match metric.split_once('/') {
        Some(("rollout", name)) => {
            let environment = spec.environment().ok().flatten();
            environment.is_some_and(|environment| name == "return" || environment.declaration().success.is_some())
        }
        Some((part, name)) => (part == "test") == has_test && name == likelihood,
        None => false,
    }
}

/// Oracle and baseline of `metric`: means over seeds of the values on the runs' own rows, or the values of the
/// environment.
pub(super) fn references(
    experiment: &Experiment,
    variants: &[VariantSummary],
    metric: &str,
) -> (Option<Reference>, Option<Reference>) {
    let agreed = |name: &str, meaning: String| {
        let value = agreed(variants, name)?;
        Some(Reference { value, meaning })
    };
    let spec = &experiment.loaded.variants[0].spec;
    let generator = || "the density that the data were drawn from".to_owned();
    match metric {
        name if name == "test/elbo" || is_likelihood("test", name) => (
            agreed("test/oracle", generator()),
            agreed("test/baseline", baseline_model(spec)),
        ),
        name if is_likelihood("train", name) => (None, agreed("train/baseline", baseline_model(spec))),
        "rollout/success_rate" => {
            let known = |names| yardstick(experiment, names, |yardsticks| yardsticks.success_rates);
            (known(&["oracle", "expert"]), known(&["random"]))
        }
        "rollout/return" => {
            let known = |names| yardstick(experiment, names, |yardsticks| yardsticks.returns);
            let measured = |name, meaning: &str| agreed(name, meaning.to_owned());
            (
                known(&["oracle", "expert"]).or_else(|| {
                    measured(
                        "rollout/expert_return",
                        "mean return of the expert from the same starts",
                    )
                }),
                known(&["random"]).or_else(|| {
                    measured(
                        "rollout/random_return",
                        "mean return of random actions from the same starts",
                    )
                }),
            )
        }
        "test/oracle_gap" | "prior_error" => {
            let meaning = "no gap to the truth".to_owned();
            (Some(Reference { value: 0.0, meaning }), None)
        }
        name if name.starts_with("parameter/") => (true_parameter(experiment, name), None),
        _ => (None, None),
    }
}

/// The first of the yardsticks `names` that is known. It is none where the variants' environments differ in it: then no one
/// line would be true.
fn yardstick(
    experiment: &Experiment,
    names: &[&str],
    list: impl Fn(Yardsticks) -> Vec<latent_lab_envs::Reference>,
) -> Option<Reference> {
    let of = |spec: &Spec| {
        let environment = spec.environment().ok().flatten()?;
        let known = list(environment.declaration().yardsticks);
        let mut named = names
            .iter()
            .filter_map(|name| known.iter().find(|known| known.name == *name));
        named.next().cloned()
    };
    let mut found = experiment.loaded.variants.iter().map(|variant| of(&variant.spec));
    let first = found.next()??;
    let (value, meaning) = (first.value, first.text.to_owned());
    found
        .all(|other| other.is_some_and(|other| other.value == value))
        .then_some(Reference { value, meaning })
}

/// Whether `metric` is one of the log-likelihoods of `part`.
fn is_likelihood(part: &str, metric: &str) -> bool {
    let name = metric.strip_prefix(part).and_then(|rest| rest.strip_prefix('/'));
    name.is_some_and(|name| LIKELIHOODS.contains(&name))
}

/// The baseline model in words.
fn baseline_model(spec: &Spec) -> String {
    let text = if spec.model.abilities().is_binary() {
        "independent columns, fitted to the training rows"
    } else if spec.model.abilities().is_sequential() {
        "one Gaussian for each column, the same at all steps, fitted to the training rows"
    } else if spec.model.abilities().conditional {
        "one Gaussian, its mean linear in the given columns where there are any, fitted to the training rows"
    } else {
        "one Gaussian, fitted to the training rows"
    };
    text.to_owned()
}

/// The generator's own value of a parameter, where it is the same for all variants.
fn true_parameter(experiment: &Experiment, metric: &str) -> Option<Reference> {
    let mut values = experiment.loaded.variants.iter().map(|variant| {
        let named = variant.spec.data.source.generator()?.parameters();
        let mut named = named.into_iter();
        named
            .find(|(name, _)| metric == format!("parameter/{name}"))
            .map(|(_, value)| value)
    });
    let value = values.next()??;
    let meaning = "the generator's own value".to_owned();
    values
        .all(|other| other == Some(value))
        .then_some(Reference { value, meaning })
}

/// The mean over seeds of a reference that does not depend on the variant; none where, for some seed, the variants
/// differ on it by more than a millionth, as when they are trained on different data: then no single value holds for
/// all.
pub fn agreed(variants: &[VariantSummary], metric: &str) -> Option<f64> {
    let mut by_seed: BTreeMap<u64, f64> = BTreeMap::new();
    for (seed, value) in variants.iter().flat_map(|variant| variant.scores(metric)) {
        let first = *by_seed.entry(seed).or_insert(value);
        if (value - first).abs() > 1e-6 * first.abs().max(1.0) {
            return None;
        }
    }
    let values: Vec<f64> = by_seed.into_values().collect();
    (!values.is_empty()).then(|| stats::mean(&values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::summary::tests::variant;

    #[test]
    fn a_reference_is_what_all_variants_agree_on() {
        let variant = |scores| variant("", "", "test/oracle", scores);
        let both = [
            variant(&[(0, -1.0), (1, -3.0)]),
            variant(&[(0, -1.0 + 1e-9), (1, -3.0)]),
        ];
        assert_eq!(agreed(&both, "test/oracle"), Some(-2.0));
        // A seed that only one variant finished counts once, as all do.
        let failed = [variant(&[(0, -1.0)]), variant(&[(0, -1.0), (1, -3.0)])];
        assert_eq!(agreed(&failed, "test/oracle"), Some(-2.0));
        assert_eq!(
            agreed(&[variant(&[(0, -1.0)]), variant(&[(0, -1.1)])], "test/oracle"),
            None
        );
        assert_eq!(agreed(&both, "test/baseline"), None);
    }
}
