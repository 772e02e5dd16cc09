//! What the tests of several families share: tables of keys, and a model at its initial values with its data.

use super::{EvaluationConfig, Tables};
use crate::data::DataConfig;
use crate::math::streams::Streams;
use crate::model::ModelConfig;
use crate::objective::ObjectiveConfig;
use crate::posterior::PosteriorConfig;
use crate::train::{Job, Trained, TrainingConfig};
use candle_core::{DType, Device};
use std::path::Path;

/// Sequences of x' = 0.9 x + w of variance 1, o = x + v of variance 1/2.
pub const AUTOREGRESSION: &str = "source = 'lgssm'\ntrain = 20\ntest = 100000\nlength = 200\ntransition = [[0.9]]\n\
                                  transition_input = [[]]\ntransition_noise = [[0.19]]\nemission = [[1.0]]\n\
                                  emission_noise = [[0.5]]";

/// The tables of an experiment with the exact posterior.
pub struct Keys {
    data: DataConfig,
    model: ModelConfig,
    posterior: PosteriorConfig,
    objective: ObjectiveConfig,
    evaluation: EvaluationConfig,
    training: TrainingConfig,
}

impl Keys {
    /// `[data]`, `[model]` and `[evaluation]` as TOML.
    pub fn new(data: &str, model: &str, evaluation: &str) -> Self {
        Self {
            data: toml::from_str(data).expect("data"),
            model: toml::from_str(model).expect("a model"),
            posterior: toml::from_str("kind = 'exact'").expect("a posterior"),
            objective: toml::from_str("kind = 'expected_log_likelihood'").expect("an objective"),
            evaluation: toml::from_str(evaluation).expect("an evaluation"),
            training: toml::from_str("optimizer = 'em'").expect("training"),
        }
    }

    /// The same as a whole.
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

    /// The model at its initial values.
    pub fn with_job<T>(&self, seed: u64, see: impl FnOnce(&Job, &Trained) -> T) -> T {
        let streams = Streams::new(seed);
        let splits = self.data.load(Path::new(""), &streams).expect("rows");
        let model = self.model.build(&splits.train).expect("a model");
        let theta = model.initial(&splits.train, &streams, 0, DType::F64, &Device::Cpu);
        let trained = Trained {
            theta: theta.expect("initial values").constant(),
            steps: 0,
            metrics: None,
            round: Vec::new(),
        };
        let job = Job {
            model: model.as_ref(),
            posterior: &self.posterior,
            objective: &self.objective,
            training: &self.training,
            splits: &splits,
            original: &splits,
            streams: &streams,
            threads: 1,
            evaluation: &self.evaluation,
            controlled: None,
        };
        see(&job, &trained)
    }
}
