//! The spec of one variant: what the tables of an experiment file mean together.

use super::{Diagnostics, Loaded, check::closest, unused};
use crate::control::{ActionRule, EvaluationConfig, LatentRule, RolloutConfig};
use crate::data::source::{Shape, Widths};
use crate::data::{DataConfig, Rows, SharedFile, Source};
use crate::environment::EnvironmentKind;
use crate::error::Fault;
use crate::kind::Chosen;
use crate::model::{LikelihoodKind, ModelConfig};
use crate::objective::ObjectiveConfig;
use crate::posterior::PosteriorConfig;
use crate::train::{TrainingConfig, metrics, unsupported};
use latent_lab_envs::Declaration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::path::Path;

/// One variant of an experiment, defaults filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spec {
    /// The training, validation and test data.
    pub data: DataConfig,
    /// The probability model log p(x, z).
    pub model: ModelConfig,
    /// The approximate posterior of z (the E-step).
    #[serde(default)]
    pub posterior: PosteriorConfig,
    /// The training objective.
    #[serde(default)]
    pub objective: ObjectiveConfig,
    /// The optimizer.
    pub training: TrainingConfig,
    /// What happens after training.
    #[serde(default)]
    pub evaluation: EvaluationConfig,
}

impl Spec {
    /// The kind of rows that the model takes.
    pub fn rows(&self) -> Rows {
        match self.model.abilities().is_sequential() {
            true => Rows::Steps,
            false => Rows::Independent,
        }
    }

    /// The environment of the roll-outs; none without roll-outs. A bare name has the settings of the demonstrations, if they
    /// are of the same environment.
    ///
    /// # Errors
    /// If the source of the data has other settings than its environment.
    pub fn environment(&self) -> crate::Result<Option<Chosen<dyn EnvironmentKind>>> {
        let Some(rollout) = &self.evaluation.rollout else {
            return Ok(None);
        };
        let demonstrated = self.data.source.environment()?;
        Ok(Some(rollout.environment.with_settings_of(demonstrated)))
    }
}

/// Loads an experiment file with its overrides and collects every fault, semantic ones included.
pub fn load_experiment(path: &Path, overrides: &[String]) -> Result<Loaded<Spec>, Diagnostics> {
    // Variants that follow each other mostly share their file, which is then read once.
    let latest: RefCell<Option<(Source, SharedFile)>> = RefCell::new(None);
    super::load(path, overrides, |spec: &Spec, folder: &Path| {
        let mut latest = latest.borrow_mut();
        if latest.as_ref().is_none_or(|(source, _)| *source != spec.data.source) {
            *latest = Some((spec.data.source.clone(), SharedFile::default()));
        }
        latest
            .as_ref()
            .map_or(Vec::new(), |(_, file)| check(spec, file, folder))
    })
}

/// Every semantic fault. `folder` is the folder of the experiment file; `file` holds what the variants share.
fn check(spec: &Spec, file: &SharedFile, folder: &Path) -> Vec<Fault> {
    let mut faults = Vec::new();
    match spec.data.check(file, folder, spec.rows(), spec.model.abilities().asked) {
        Err(fault) => faults.push(fault.within("data")),
        Ok(Shape { widths, longest }) => {
            faults.extend(spec.model.faults(widths).into_iter().map(|fault| fault.within("model")));
            faults.extend(check_environment(spec, widths));
            faults.extend(check_sequences(spec, longest));
            faults.extend(check_binary(spec));
            faults.extend(unused::unused(spec, widths));
        }
    }
    faults.extend(
        spec.posterior
            .faults(&spec.model.abilities())
            .into_iter()
            .map(|fault| fault.within("posterior")),
    );
    let validation = spec.data.validation_fraction > 0.0;
    faults.extend(
        spec.training
            .check(validation)
            .into_iter()
            .map(|fault| fault.within("training")),
    );
    faults.extend(unsupported(
        &spec.model,
        &spec.posterior,
        &spec.objective,
        &spec.training,
    ));
    faults.extend(unused::unfinished_schedules(spec));
    faults.extend(check_evaluation(spec).map(|fault| fault.within("evaluation")));
    faults
}

/// Models of sequences take sequences, other models take independent rows. The longest test sequence has `longest`
/// steps.
fn check_sequences(spec: &Spec, longest: Option<usize>) -> Option<Fault> {
    let (model, data) = (spec.model.abilities().is_sequential(), longest.is_some());
    if model != data {
        let (message, expected, help) = if model {
            (
                "this model needs sequences, but these rows are independent",
                "the steps of sequences",
                "choose the source `lgssm` or `growth`, or a file",
            )
        } else {
            (
                "this model needs independent rows, but these are the steps of sequences",
                "a model of sequences",
                "choose `linear_gaussian_ssm` or `nonlinear_gaussian_ssm`, or name no `time`, `episode` and `input`, and give \
                 arrays [N, d]",
            )
        };
        return Some(Fault::new("model.kind", message, expected, help));
    }
    let (evaluation, defaults) = (&spec.evaluation, EvaluationConfig::default());
    if !data {
        for (key, given) in [
            ("warm_up", evaluation.warm_up != defaults.warm_up),
            ("horizon", evaluation.horizon != defaults.horizon),
        ] {
            if given {
                return Some(Fault::new(
                    format!("evaluation.{key}"),
                    format!("`{key}` is for sequences, and these rows are independent"),
                    "no such key",
                    "remove it",
                ));
            }
        }
        return None;
    }
    if spec.data.population {
        return None; // A fault of `data` already.
    }
    let is_of_errors = |name: &String| {
        ["step_error", "free_run_error"]
            .iter()
            .any(|error| name.contains(error))
    };
    let asked = evaluation.warm_up != defaults.warm_up || evaluation.metrics.iter().any(is_of_errors);
    if let Some(longest) = longest.filter(|longest| asked && evaluation.warm_up >= *longest) {
        let steps = evaluation.warm_up;
        return Some(Fault::new(
            "evaluation.warm_up",
            format!("after a warm-up of {steps} steps nothing is left of test sequences of at most {longest}"),
            format!("fewer than {longest} steps"),
            "shorten the warm-up",
        ));
    }
    if let Some(adam) = spec.training.adam()
        && (adam.given_noise > 0.0 || adam.observed_noise > 0.0)
    {
        let key = if adam.given_noise > 0.0 {
            "given_noise"
        } else {
            "observed_noise"
        };
        return Some(Fault::new(
            format!("training.{key}"),
            "models of sequences are trained without added noise",
            "no such key for models of sequences",
            "remove it",
        ));
    }
    None
}

/// Columns of 0 and 1 must reach the model as they are.
fn check_binary(spec: &Spec) -> Option<Fault> {
    let noisy = spec.training.adam().is_some_and(|adam| adam.observed_noise > 0.0);
    let spoilt = [
        (
            "data.source",
            spec.data.source.generator().is_some(),
            "this generator draws other numbers",
        ),
        (
            "data.standardize",
            spec.data.standardize,
            "scaled columns are no longer binary",
        ),
        ("training.observed_noise", noisy, "added noise changes them"),
    ];
    let (key, _, reason) = spoilt
        .into_iter()
        .find(|(_, wrong, _)| *wrong && spec.model.abilities().is_binary())?;
    Some(Fault::new(
        key,
        format!("a Bernoulli likelihood models 0 and 1, and {reason}"),
        "a file of binary columns, as they are",
        "change this key, or choose `likelihood = \"gaussian\"` in `[model]`",
    ))
}

/// A policy's given and observed columns must be the states and actions of the environment.
fn check_environment(spec: &Spec, widths: Widths) -> Option<Fault> {
    const KEY: &str = "evaluation.rollout.environment";
    let environment = match spec.environment() {
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
    let wanted = Widths {
        observed: declared.action.len(),
        given: declared.observation.len(),
    };
    (spec.model.abilities().conditional && widths != wanted).then(|| {
        Fault::new(
            KEY,
            format!(
                "the data have {} given and {} observed columns",
                widths.given, widths.observed
            ),
            format!(
                "{} given (the state), {} observed (the action)",
                wanted.given, wanted.observed
            ),
            "list the state's columns under `data.given` and the action's under `data.observed`",
        )
    })
}

/// The requirement of the named metric that this spec does not meet.
fn lacks(spec: &Spec, key: &str, metric: &str) -> Option<Fault> {
    let (family, name) = metric.split_once('/').unwrap_or(("", metric));
    let (test, generated) = (spec.has_test_rows(), spec.data.source.generator().is_some());
    let (evaluation, abilities, likelihood) = (&spec.evaluation, spec.model.abilities(), spec.likelihood());
    let kinds = [
        LikelihoodKind::Exact,
        LikelihoodKind::Grid,
        LikelihoodKind::Estimate,
        LikelihoodKind::Bound,
    ];
    let asked = kinds.into_iter().find(|kind| kind.metric() == name);
    let is_reported = match asked {
        Some(LikelihoodKind::Bound) => spec.has_bound(),
        Some(kind) => kind == likelihood,
        None => true,
    };
    let own = format!("`{family}/{}`", likelihood.metric());
    let is_criterion = name.ends_with("information_criterion") || name == "total_log_likelihood";
    let network = spec.posterior.network().is_some();
    let is_of_q = name.starts_with("elbo") || name.starts_with("posterior_");
    // The fault of an environment that cannot be made is reported at its own key.
    let declared = spec.environment().ok().flatten();
    let declared = declared.map(|environment| environment.declaration());
    let declares = |what: &dyn Fn(&Declaration) -> bool| declared.as_ref().is_none_or(what);
    let is_of_success = family == "rollout" && ["success_rate", "left_fraction", "route_entropy"].contains(&name);
    let needs: [(bool, &str, &str); 20] = [
        (
            family == "test" && !test,
            "test rows",
            "`data.test_fraction` or `data.test_path`",
        ),
        (
            family == "validation" && spec.data.validation_fraction == 0.0,
            "validation rows",
            "`data.validation_fraction` above 0",
        ),
        (
            !is_reported,
            "another kind of likelihood than this model has",
            own.as_str(),
        ),
        (
            is_criterion && likelihood != LikelihoodKind::Exact,
            "an exact likelihood",
            "a model with an exact likelihood",
        ),
        (
            name == "quadrature_error" && likelihood != LikelihoodKind::Grid,
            "a likelihood that is summed over a grid",
            "a `latent_gaussian` of at most 2 latent dimensions that is not linear",
        ),
        (
            ["log_likelihood_standard_error", "log_likelihood_bias"].contains(&name)
                && likelihood != LikelihoodKind::Estimate,
            "a likelihood that is estimated",
            "`nonlinear_gaussian_ssm`",
        ),
        (
            (is_of_q || name == "log_likelihood_bound") && family == "train" && test,
            "an experiment without test rows",
            "the same metric of the test rows",
        ),
        (is_of_q && !network, "a recognition network", "`amortised`"),
        (
            name == "posterior_gap" && [LikelihoodKind::Estimate, LikelihoodKind::Bound].contains(&likelihood),
            "a likelihood that is exact or summed over a grid",
            "fewer latent dimensions",
        ),
        (
            name.starts_with("oracle") && !generated,
            "a density that is known",
            "a generator as `data.source`",
        ),
        (
            family == "parameter" && !spec.model.abilities().has_named_parameters,
            "a model whose parameters have names",
            "`nonlinear_gaussian_ssm`",
        ),
        (
            name == "mean_squared_error" && !abilities.conditional,
            "a conditional model",
            "a model of p(y|x)",
        ),
        (
            !abilities.is_sequential() && (name.contains("step_error") || name.contains("free_run")),
            "sequences",
            "a model of sequences",
        ),
        (
            metric == "posterior/acceptance_rate" && !spec.posterior.facts().has_acceptance_rate,
            "Markov chains",
            "`posterior.kind = \"hamiltonian\"`",
        ),
        (
            family == "rollout" && evaluation.rollout.is_none(),
            "roll-outs",
            "`rollout.environment` beside it",
        ),
        (
            is_of_success && !declares(&|declared| declared.success.is_some()),
            "an environment that says what a success is",
            "another environment, or `rollout/return`",
        ),
        (
            metric == "rollout/left_fraction" && !declares(&|declared| declared.routes.contains(&"left")),
            "an environment with a route that is called `left`",
            "another environment",
        ),
        (
            metric == "rollout/route_entropy" && !declares(&|declared| !declared.routes.is_empty()),
            "an environment that tells routes apart",
            "another environment",
        ),
        (
            metric == "rollout/expert_return" && !declares(&|declared| declared.has_expert),
            "an environment with an expert",
            "another environment",
        ),
        (
            family == "estimator" && evaluation.estimator_repeats == 0,
            "repeated estimates",
            "`estimator_repeats` above 0",
        ),
    ];
    let (_, what, expected) = needs.into_iter().find(|(lacking, ..)| *lacking)?;
    Some(Fault::new(
        key,
        format!("`{metric}` needs {what}"),
        expected,
        "add what it needs, or choose another metric: see `list metric`",
    ))
}

fn check_evaluation(spec: &Spec) -> Option<Fault> {
    let evaluation = &spec.evaluation;
    for (number, metric) in evaluation.metrics.iter().enumerate() {
        let key = format!("metrics.{number}");
        let Some(found) = metrics::find(metric) else {
            let names = || metrics::METRICS.iter().map(|metric| metric.name);
            let help = match closest(metric, names()) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("there are: {}", names().collect::<Vec<_>>().join(", ")),
            };
            let message = format!("there is no metric `{metric}`");
            return Some(Fault::new(key, message, "the name of a metric", help));
        };
        if let Some(missing) = lacks(spec, &key, found.name) {
            return Some(missing);
        }
    }
    if let Some(rollout) = &evaluation.rollout
        && let Some(fault) = check_rollout(spec, rollout)
    {
        return Some(fault.within("rollout"));
    }
    if evaluation.estimator_repeats > 0 && !spec.model.abilities().exact_posterior {
        return Some(Fault::new(
            "estimator_repeats",
            "this model has no exact posterior to compare estimates with",
            "0",
            "remove it, or choose a model with a posterior in closed form",
        ));
    }
    if evaluation.estimator_repeats > 0 && !spec.objective.needs_posterior() {
        return Some(Fault::new(
            "estimator_repeats",
            "this objective is exact: there is nothing to estimate",
            "0",
            "choose `expected_log_likelihood` with a `sampled` posterior",
        ));
    }
    if evaluation.estimator_repeats > 0 && !spec.objective.is_unbiased() {
        return Some(Fault::new(
            "estimator_repeats",
            "the mean of the importance-weighted bound over draws has no exact value to compare with",
            "0",
            "choose `expected_log_likelihood` or `elbo`",
        ));
    }
    None
}

/// What the roll-outs ask of the model, and it does not have.
fn check_rollout(spec: &Spec, rollout: &RolloutConfig) -> Option<Fault> {
    let abilities = spec.model.abilities();
    if !abilities.conditional {
        return Some(Fault::new(
            "environment",
            "a density p(x) is not a policy",
            "a conditional model",
            "choose `linear_gaussian`, `conditional_mixture` or `latent_gaussian`",
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
