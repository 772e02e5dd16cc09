//! What control asks of the environment, the data and the model, and they do not have.

use super::ControlConfig;
use crate::control::planner::{Cost, Planner};
use crate::data::source::Shape;
use crate::error::Fault;
use crate::train::metrics::Tables;

/// The observations of the data must be what the environment shows, followed by its reward if the model has one, and the
/// inputs its actions.
pub(super) fn of_environment(tables: &Tables, control: &ControlConfig, shape: Option<&Shape>) -> Option<Fault> {
    const KEY: &str = "environment";
    let Some(environment) = tables.controlled() else {
        return Some(Fault::new(
            KEY,
            "the data are no exploration of an environment",
            "the environment that the model is to act in",
            "name one, such as `environment = \"planar\"`, or use `data.source = \"exploration\"`",
        ));
    };
    if let Some(fault) = environment.fault() {
        let help = format!("see `describe environment {}`", environment.name());
        return Some(Fault::new(KEY, fault, "consistent keys", help));
    }
    let declared = environment.declaration();
    if declared.images.is_none() && control.cost.needs_goal() {
        return Some(Fault::new(
            KEY,
            format!("`{}` has no images, and so none of its goal", environment.name()),
            "an environment with images, or the cost `reward`",
            "choose `planar`, `pendulum`, `cartpole` or `pendulum_16`, or `cost = \"reward\"`",
        ));
    }
    let (shown, what) = match &declared.images {
        Some(images) => (images.shape.len(), "the image"),
        None => (declared.observation.len(), "the numbers of an observation"),
    };
    let rewards = tables.model.abilities().rewards;
    let (observed, given) = (shown + rewards, declared.action.len());
    let with_reward = if rewards > 0 { " and the reward" } else { "" };
    let widths = shape?.widths;
    (widths.observed != observed || widths.given != given).then(|| {
        Fault::new(
            KEY,
            format!(
                "the data have {} observed and {} given columns",
                widths.observed, widths.given
            ),
            format!("{observed} observed ({what}{with_reward}), {given} given (the action)"),
            "explore the environment that the model is to act in; `data.reward = true` adds the reward",
        )
    })
}

/// What rounds of collection ask.
pub(super) fn of_collection(tables: &Tables) -> Option<Fault> {
    const KEY: &str = "training.collection";
    tables.collection()?;
    if tables.evaluation.control.is_none() {
        return Some(Fault::new(
            KEY,
            "nothing says how the model plans",
            "a table `[evaluation.control]`",
            "add it with `cost = \"reward\"`, or remove `collection`",
        ));
    }
    let images = tables.controlled()?.declaration().images;
    images.map(|_| {
        Fault::new(
            KEY,
            "episodes of images are not collected",
            "an environment without images",
            "choose one, such as `pendulum_v1`, or remove `collection`",
        )
    })
}

/// What the planner and its cost ask of the model and its posterior.
pub(super) fn of_model(tables: &Tables, control: &ControlConfig) -> Option<Fault> {
    let abilities = tables.model.abilities();
    if !abilities.paths {
        return Some(Fault::new(
            "planner",
            "this model has no states whose transition can be rolled out",
            "a model of sequences with paths of states",
            "choose `model.kind = \"neural_ssm\"`",
        ));
    }
    if !tables.objective.needs_posterior() {
        return Some(Fault::new(
            "planner",
            "the objective trains no posterior, which says where the present is in latent space",
            "an objective with a posterior, such as `elbo`",
            "change `[objective]`",
        ));
    }
    if control.cost == Cost::Reward && abilities.rewards != 1 {
        let message = match abilities.rewards {
            0 => "this model has no reward to plan by".to_owned(),
            several => format!("this model has {several} columns of rewards, and an environment gives one"),
        };
        return Some(Fault::new(
            "cost",
            message,
            "a model of one reward",
            "add `reward = {}` to `[model]` and `reward = true` to the exploration in `[data]`, or choose another cost",
        ));
    }
    (matches!(control.planner, Planner::Ilqr(_)) && !control.cost.is_quadratic()).then(|| {
        Fault::new(
            "cost",
            "`ilqr` needs a quadratic cost of the state",
            "`euclidean` or `action_units`",
            "change it, or choose the planner `cem`",
        )
    })
}
