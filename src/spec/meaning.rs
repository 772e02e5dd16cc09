//! The checks of meaning: what the tables of an experiment file say together. Each kind and each family of metrics checks
//! its own keys; what concerns several tables is here.

use super::{Diagnostics, Loaded, Spec, suggestion::closest, unused};
use crate::data::source::Shape;
use crate::data::{SharedFile, Source};
use crate::error::Fault;
use crate::kind::{either, names_where};
use crate::model::ModelKind;
use crate::train::metrics::{self, FAMILIES, METRICS, Metric, with_kinds};
use crate::train::unsupported;
use std::cell::RefCell;
use std::path::Path;

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
    let shape = spec.data.check(file, folder, spec.rows(), spec.model.abilities().asked);
    match &shape {
        Err(fault) => faults.push(fault.clone().within("data")),
        Ok(Shape { widths, longest }) => {
            let of_model = spec.model.faults(*widths).into_iter();
            faults.extend(of_model.map(|fault| fault.within("model")));
            faults.extend(check_sequences(spec, *longest));
            faults.extend(check_binary(spec));
            faults.extend(unused::unused(spec, *widths));
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
    faults.extend(check_metrics(spec));
    for family in FAMILIES {
        faults.extend(family.faults(&spec.tables(), shape.as_ref().ok()));
    }
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
                "choose a source of sequences such as `lgssm`, or a file".to_owned(),
            )
        } else {
            (
                "this model needs independent rows, but these are the steps of sequences",
                "a model of sequences",
                format!(
                    "choose {}, or name no `time`, `episode` and `input`, and give arrays [N, d]",
                    either(&names_where::<dyn ModelKind>(|kind| kind.abilities().is_sequential()))
                ),
            )
        };
        return Some(Fault::new("model.kind", message, expected, help));
    }
    let adam = spec.training.adam().filter(|_| data && !spec.data.population)?;
    let noises = [
        ("given_noise", adam.given_noise),
        ("observed_noise", adam.observed_noise),
    ];
    let (key, _) = noises.into_iter().find(|(_, noise)| *noise > 0.0)?;
    Some(Fault::new(
        format!("training.{key}"),
        "models of sequences are trained without added noise",
        "no such key for models of sequences",
        "remove it",
    ))
}

/// Columns of 0 and 1 must reach the model as they are.
fn check_binary(spec: &Spec) -> Option<Fault> {
    let noisy = spec.training.adam().is_some_and(|adam| adam.observed_noise > 0.0);
    let spoilt = [
        (
            "data.source",
            spec.data
                .source
                .generator()
                .is_some_and(|generator| !generator.is_binary()),
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

/// The first metric of `[evaluation]` that does not exist, or that the experiment cannot have.
fn check_metrics(spec: &Spec) -> Option<Fault> {
    let names = spec.evaluation.metrics.iter().enumerate();
    let fault = |(number, name): (usize, &String)| {
        let key = format!("evaluation.metrics.{number}");
        match metrics::find(name) {
            Some(metric) => lacks(spec, key, metric),
            None => Some(unknown(key, name)),
        }
    };
    names.filter_map(fault).next()
}

fn unknown(key: String, name: &str) -> Fault {
    let names = || METRICS.iter().map(|metric| metric.name.as_str());
    let help = match closest(name, names()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("there are: {}", names().collect::<Vec<_>>().join(", ")),
    };
    let message = format!("there is no metric `{name}`");
    Fault::new(key, message, "the name of a metric", help)
}

/// The first condition of the metric that this spec does not meet.
fn lacks(spec: &Spec, key: String, metric: &Metric) -> Option<Fault> {
    let mut conditions = metric.conditions.iter();
    let condition = conditions.find(|condition| !(condition.holds)(&spec.tables()))?;
    let part = metric.name.split_once('/').map_or("", |(part, _)| part);
    let likelihood = format!("{part}/{}", spec.likelihood().metric());
    Some(Fault::new(
        key,
        format!("`{}` needs {}", metric.name, condition.what),
        with_kinds(condition.write).replace("{likelihood}", &likelihood),
        "add what it needs, or choose another metric: see `list metric`",
    ))
}
