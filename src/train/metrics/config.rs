//! The table `[evaluation]` of an experiment file. Each table inside it is declared by the family of metrics that reads it.

use super::{BoundsConfig, ControlConfig, EstimatorConfig, ForecastConfig, OpenLoopConfig, RolloutConfig};
use crate::Result;
use crate::data::{DataConfig, GeneratorKind, Source};
use crate::environment::EnvironmentKind;
use crate::kind::Chosen;
use crate::model::{LikelihoodKind, ModelConfig};
use crate::objective::ObjectiveConfig;
use crate::posterior::PosteriorConfig;
use crate::train::{CollectionConfig, TrainingConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The table `[evaluation]`: metrics beside the log-likelihoods, and roll-outs after training.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EvaluationConfig {
    /// The metrics of the comparison, as `list metric` names them; the part before the slash may be left out. The first
    /// one ranks the variants and is plotted; the others are tabulated below. Without this key the first is
    /// `rollout/success_rate`, `rollout/return` or the log-likelihood, of the test rows if there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<String>,
    /// Bounds of the log-likelihood by draws of the latent variable.
    pub bounds: BoundsConfig,
    /// Predictions of a model of sequences on the test sequences.
    pub forecast: ForecastConfig,
    /// Predictions of a model of sequences by its transition alone.
    pub open_loop: OpenLoopConfig,
    /// Bias and variance of the objective's estimate at the trained parameters.
    pub estimator: EstimatorConfig,
    /// Roll-outs of the trained model as a policy; none without this table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutConfig>,
    /// Control by planning in the latent space of a trained model of sequences; none without this table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<ControlConfig>,
}

impl EvaluationConfig {
    /// Whether the comparison names a metric of these names, or names none at all. A metric that costs much is computed only
    /// then.
    pub fn asks_for(&self, is_meant: impl Fn(&str) -> bool) -> bool {
        let is_named = |name: &String| super::find(name).is_some_and(|metric| is_meant(&metric.name));
        self.metrics.is_empty() || self.metrics.iter().any(is_named)
    }
}

/// The tables of an experiment of which metrics need something.
#[derive(Debug, Clone, Copy)]
pub struct Tables<'a> {
    /// `[data]`.
    pub data: &'a DataConfig,
    /// `[model]`.
    pub model: &'a ModelConfig,
    /// `[posterior]`.
    pub posterior: &'a PosteriorConfig,
    /// `[objective]`.
    pub objective: &'a ObjectiveConfig,
    /// `[evaluation]`.
    pub evaluation: &'a EvaluationConfig,
    /// `[training]`.
    pub training: &'a TrainingConfig,
}

impl Tables<'_> {
    /// Whether there are rows to test on.
    pub fn has_test_rows(&self) -> bool {
        match &self.data.source {
            Source::File(file) => file.test_fraction > 0.0 || file.test_path.is_some(),
            _ => true,
        }
    }

    /// How log p(x) is computed.
    pub fn likelihood(&self) -> LikelihoodKind {
        self.model.likelihood(self.data.is_given())
    }

    /// The rounds of collection; none without them.
    pub fn collection(&self) -> Option<&CollectionConfig> {
        self.training.adam()?.collection.as_ref()
    }

    /// The environment that the model plans in; none without control, or if nothing names one. A bare name has the settings
    /// of the exploration, if it is of the same environment.
    pub fn controlled(&self) -> Option<Chosen<dyn EnvironmentKind>> {
        let control = self.evaluation.control.as_ref()?;
        let explored = self.data.source.generator().and_then(GeneratorKind::explored);
        match &control.environment {
            Some(named) => Some(named.with_settings_of(explored)),
            None => explored,
        }
    }

    /// The environment of the roll-outs; none without roll-outs. A bare name has the settings of the demonstrations, if they
    /// are of the same environment.
    ///
    /// # Errors
    /// If the source of the data has other settings than its environment.
    pub fn environment(&self) -> Result<Option<Chosen<dyn EnvironmentKind>>> {
        let Some(rollout) = &self.evaluation.rollout else {
            return Ok(None);
        };
        let demonstrated = self.data.source.generator().and_then(GeneratorKind::environment);
        Ok(Some(rollout.environment.with_settings_of(demonstrated)))
    }
}
