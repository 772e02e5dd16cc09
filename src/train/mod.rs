//! The loop: gradient steps or closed-form EM. It emits events to an [`Observer`] and is independent of file formats.

mod adam;
mod config;
mod em;
pub mod evaluation;
mod fit;
pub mod metrics;
mod supported;

pub use config::{
    AdamConfig, CollectionConfig, Device, EarlyStopping, EmConfig, LearningRateSchedule, Precision, TrainingConfig,
};
pub use supported::{Combination, OPTIMIZERS, supported_combinations, unsupported};

use crate::data::Splits;
use crate::environment::EnvironmentKind;
use crate::math::streams::Streams;
use crate::model::Model;
use crate::nn::Parameters;
use crate::objective::ObjectiveConfig;
use crate::posterior::PosteriorConfig;
use crate::{Error, Result};
use candle_core::Tensor;
use metrics::EvaluationConfig;
use std::collections::BTreeMap;

/// One training run: the model, the method and the data.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// log p_θ(x, z).
    pub model: &'a dyn Model,
    /// The approximate posterior of z.
    pub posterior: &'a PosteriorConfig,
    /// The training objective.
    pub objective: &'a ObjectiveConfig,
    /// The optimizer and its settings.
    pub training: &'a TrainingConfig,
    /// The rows as the model takes them ([`Model::reduced`]).
    pub splits: &'a Splits,
    /// The rows as they are.
    pub original: &'a Splits,
    /// All random streams.
    pub streams: &'a Streams,
    /// Threads that one closed-form sweep may use; results do not depend on it.
    pub threads: usize,
    /// How the model is evaluated.
    pub evaluation: &'a EvaluationConfig,
    /// The environment that the model plans in; none without `[evaluation.control]`.
    pub controlled: Option<&'a dyn EnvironmentKind>,
}

impl Job<'_> {
    /// The step from which all schedules are constant: the posterior's temperature, the warm-up of β, the warm-up of
    /// the learning rate. Rules that compare evaluations apply only after it. A learning rate that decays to 0 until
    /// the last step is not counted: it does not change the objective.
    pub fn schedules_end(&self) -> u64 {
        let learning_rate = self.training.warm_up_steps();
        let ends = self.schedules().into_iter().map(|(_, end)| end);
        ends.fold(learning_rate, u64::max)
    }

    /// The schedules of the objective with the step at which each ends.
    fn schedules(&self) -> Vec<(&'static str, u64)> {
        let mut all = Vec::new();
        if self.objective.needs_posterior() {
            all.push(("the temperature", self.posterior.common().temperature.ends_at()));
        }
        all.extend(self.objective.schedule().map(|(name, _, end)| (name, end)));
        let shares = [
            ("the model's schedule", self.model.schedule_ends()),
            ("the posterior's schedule", self.posterior.schedule_ends()),
        ];
        let step = |share: f64| (share * self.training.steps() as f64).ceil() as u64;
        all.extend(
            shares
                .map(|(name, share)| (name, step(share)))
                .into_iter()
                .filter(|(_, end)| *end > 0),
        );
        all
    }

    /// Sets the entries of `parameters` that follow a schedule to their values after this share of training.
    fn schedule(&self, parameters: &Parameters, share: f64) -> Result<()> {
        self.model.schedule(parameters, share)?;
        self.posterior.schedule(parameters, share)
    }
}

/// Notes each schedule of the objective whose final value was not used in any of the `steps` steps.
fn note_schedules(job: &Job, steps: u64, observer: &mut dyn Observer) -> Result<()> {
    for (name, end) in job.schedules() {
        if end > 0 && steps <= end {
            let text = format!("training ended at step {steps}, before {name} reached its final value");
            observer.noted(steps, &text)?;
        }
    }
    Ok(())
}

/// Notes that a linear state space of θ is unstable.
fn note_instability(job: &Job, theta: &Parameters, step: u64, observer: &mut dyn Observer) -> Result<()> {
    let radius = job.model.state_space(theta)?.map(|system| system.spectral_radius());
    match radius.filter(|radius| *radius > 1.0 + 1e-9) {
        Some(radius) => observer.noted(
            step,
            &format!(
                "the fitted system is unstable: an eigenvalue of its transition has modulus {radius:.4}, so predictions in free \
                 run grow without bound"
            ),
        ),
        None => Ok(()),
    }
}

/// Everything that training needs to resume.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Optimiser steps (or sweeps) done.
    pub step: u64,
    /// Parameters and optimiser moments, by name.
    pub tensors: BTreeMap<String, Tensor>,
    /// Small facts, by name.
    pub facts: BTreeMap<String, String>,
}

/// An observer of training. What it does not override it ignores, and it never interrupts.
pub trait Observer {
    /// Metrics after `step` steps.
    fn evaluated(&mut self, _step: u64, _metrics: &[(String, f64)]) -> Result<()> {
        Ok(())
    }

    /// A notable event at `step`.
    fn noted(&mut self, _step: u64, _text: &str) -> Result<()> {
        Ok(())
    }

    /// Offers a state to resume from, after the metrics of its step; it must be kept if `required` (the run stops
    /// here), and may be skipped otherwise.
    fn checkpoint(&mut self, _required: bool, _state: &dyn Fn() -> Result<State>) -> Result<()> {
        Ok(())
    }

    /// `done` of at most `of` units of work are done.
    fn progressed(&mut self, _done: u64, _of: u64) {}

    /// Whether to stop after this step.
    fn interrupted(&self) -> bool {
        false
    }
}

/// The result of training.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The parameters to use: of the best evaluation with early stopping, averaged with averaging, else the last.
    pub theta: Parameters,
    /// Steps (or sweeps) done.
    pub steps: u64,
    /// The result of [`evaluation::evaluate`] for these parameters and steps, if training has just computed it.
    pub metrics: Option<Vec<(String, f64)>>,
    /// The metrics of the last round of collection; empty without one.
    pub round: Vec<(String, f64)>,
}

/// Trains from the beginning or from `resume`.
///
/// # Errors
/// [`Error::Interrupted`] once the observer asks for it, after a checkpoint; [`Error::NonFinite`] when a term, a
/// gradient or a parameter stops being finite.
pub fn train(job: &Job, resume: Option<State>, observer: &mut dyn Observer) -> Result<Trained> {
    match job.training {
        TrainingConfig::Adam(config) => adam::train(job, config, resume, observer),
        TrainingConfig::Em(config) => em::train(job, config, resume, observer),
    }
}

/// Writes `parameters` into `tensors` under `prefix/…`.
fn store(tensors: &mut BTreeMap<String, Tensor>, prefix: &str, parameters: &Parameters) -> Result<()> {
    for (name, var) in parameters.iter() {
        tensors.insert(format!("{prefix}/{name}"), var.as_tensor().copy()?.detach());
    }
    Ok(())
}

/// Reads the parameters stored under `prefix/…`; none if there are none.
pub fn stored(state: &State, prefix: &str, device: &candle_core::Device) -> Result<Option<Parameters>> {
    let mut parameters = Parameters::new();
    for (name, tensor) in &state.tensors {
        if let Some(name) = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')) {
            parameters.insert(name, &tensor.to_device(device)?)?;
        }
    }
    Ok((parameters.count() > 0).then_some(parameters))
}

fn fact<T: std::str::FromStr>(state: &State, name: &str) -> Result<Option<T>> {
    let parse = |text: &String| {
        text.parse()
            .map_err(|_| Error::Record(format!("the checkpoint's `{name}` is {text:?}, which cannot be read")))
    };
    state.facts.get(name).map(parse).transpose()
}
