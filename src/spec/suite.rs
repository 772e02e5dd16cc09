//! The spec of one variant: the tables of an experiment file.

use crate::data::{DataConfig, GeneratorKind, Rows};
use crate::environment::EnvironmentKind;
use crate::kind::Chosen;
use crate::model::{LikelihoodKind, ModelConfig};
use crate::objective::ObjectiveConfig;
use crate::posterior::PosteriorConfig;
use crate::train::TrainingConfig;
use crate::train::metrics::{EvaluationConfig, Tables};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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

    /// The tables that metrics may need something of.
    pub fn tables(&self) -> Tables<'_> {
        Tables {
            data: &self.data,
            model: &self.model,
            posterior: &self.posterior,
            objective: &self.objective,
            evaluation: &self.evaluation,
            training: &self.training,
        }
    }

    /// Whether there are rows to test on.
    pub fn has_test_rows(&self) -> bool {
        self.tables().has_test_rows()
    }

    /// How log p(x) is computed.
    pub fn likelihood(&self) -> LikelihoodKind {
        self.tables().likelihood()
    }

    /// The programs outside this one that its environments run in, each with its version, or with several if they differ.
    pub fn software(&self) -> BTreeMap<String, String> {
        let generator = self.data.source.generator();
        let environments = [
            generator.and_then(GeneratorKind::environment),
            generator.and_then(GeneratorKind::explored),
            self.environment().ok().flatten(),
            self.tables().controlled(),
        ];
        let mut software: BTreeMap<String, String> = BTreeMap::new();
        let all = environments.into_iter().flatten();
        for (name, version) in all.flat_map(|environment| environment.declaration().software) {
            let known = software.entry(name).or_default();
            if !known.split(", ").any(|own| own == version) {
                let gap = if known.is_empty() { "" } else { ", " };
                *known += &format!("{gap}{version}");
            }
        }
        software
    }

    /// The environment of the roll-outs; none without roll-outs. A bare name has the settings of the demonstrations, if they
    /// are of the same environment.
    ///
    /// # Errors
    /// If the source of the data has other settings than its environment.
    pub fn environment(&self) -> crate::Result<Option<Chosen<dyn EnvironmentKind>>> {
        self.tables().environment()
    }
}
