//! The table `[training]`: the optimiser and its settings.

use crate::error::Fault;
use crate::{Error, Result};
use candle_core::DType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// The table `[training]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "optimizer", rename_all = "snake_case")]
pub enum TrainingConfig {
    /// Gradient ascent with Adam (Kingma & Ba 2015), with decoupled weight decay (Loshchilov & Hutter 2019).
    Adam(AdamConfig),
    /// Expectation–maximisation with the closed-form M-step (Dempster, Laird & Rubin 1977), in f64.
    Em(EmConfig),
}

/// How the learning rate changes over training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LearningRateSchedule {
    /// Stays constant.
    Constant,
    /// Falls to 0 along half a cosine (Loshchilov & Hutter 2017).
    Cosine,
    /// Falls linearly to 0.
    Linear,
}

/// The floating-point type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32 bits.
    F32,
    /// 64 bits.
    F64,
}

/// The device that computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// The CPU, with fused kernels.
    Cpu,
    /// The first NVIDIA GPU, without fused kernels; needs a build with the `cuda` feature.
    Cuda,
}

/// When to stop before the last step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EarlyStopping {
    /// Evaluations without a better validation log-likelihood before training stops. The best evaluation's parameters
    /// are kept.
    #[schemars(range(min = 1))]
    pub patience: u64,
}

/// Rounds in which the model so far plans in the environment of `[evaluation.control]`, and its episodes, with their rewards, join
/// the training data: model-based reinforcement learning. The data begin as `[data]` says, usually as random exploration, and
/// keep their standardisation; metrics of the training rows are those of the initial ones. The planner and its cost are those of
/// `[evaluation.control]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CollectionConfig {
    /// Steps of the optimizer between rounds. There is none after the last step.
    #[schemars(range(min = 1))]
    pub every: u64,
    /// New episodes of each round, each as long as the environment lets it be.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub episodes: usize,
    /// The standard deviation of Gaussian noise that is added to every planned action, in units of half its range.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub noise: f64,
}

impl Default for CollectionConfig {
    fn default() -> Self {
        Self {
            every: 500,
            episodes: 5,
            noise: 0.3,
        }
    }
}

/// Keys of `optimizer = "adam"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AdamConfig {
    /// The learning rate, before its schedule.
    #[schemars(range(min = 1e-12, max = 100.0))]
    pub learning_rate: f64,
    /// How the learning rate changes over training.
    pub learning_rate_schedule: LearningRateSchedule,
    /// Steps over which the learning rate first rises linearly from 0.
    pub warm_up_steps: u64,
    /// Rows per step, drawn without replacement within a pass; all rows if there are fewer.
    #[schemars(range(min = 1))]
    pub batch_size: usize,
    /// Of sequences: steps of the windows that a batch is made of. A pass takes length / window windows of each sequence,
    /// each with an independent, uniform start; a shorter sequence is taken whole. p(x_1) is then that of the starts of
    /// windows. Without this key batches are of whole sequences.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2))]
    pub window: Option<usize>,
    /// Starts from different initial values. Each is trained for `start_share` of the steps; the one with the largest objective,
    /// averaged over the last fifth of them, is then trained from its beginning. Test rows are not looked at.
    #[schemars(range(min = 1, max = 1000))]
    #[serde(skip_serializing_if = "is_one")]
    pub starts: u64,
    /// The share of the steps after which starts are compared.
    #[schemars(range(min = 0.001, max = 1))]
    #[serde(skip_serializing_if = "is_usual_share")]
    pub start_share: f64,
    /// Steps of the optimizer.
    #[schemars(range(min = 1))]
    pub steps: u64,
    /// Steps between evaluations (and checkpoints).
    #[schemars(range(min = 1))]
    pub evaluate_every: u64,
    /// The largest norm of the whole gradient; a longer gradient is scaled down to it. Without this key there is no
    /// limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1e-12))]
    pub gradient_clip: Option<f64>,
    /// The weight decay per step, as a multiple of the learning rate, of every weight matrix; biases and other
    /// parameters do not decay.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub weight_decay: f64,
    /// The decay rate of an exponential moving average of the parameters; the average is evaluated and kept (Polyak &
    /// Juditsky 1992). 0 means no averaging.
    #[schemars(range(min = 0.0, max = 0.999999))]
    pub averaging: f64,
    /// Standard deviation of the Gaussian noise added to the given columns at every step, after standardisation. It
    /// smooths the fitted density and reduces overfitting on few rows (Rothfuss et al. 2019).
    #[schemars(range(min = 0.0, max = 1e6))]
    pub given_noise: f64,
    /// Standard deviation of the Gaussian noise added to the observed columns at every step, after standardisation.
    #[schemars(range(min = 0.0, max = 1e6))]
    pub observed_noise: f64,
    /// Episodes of the model as a planner that join the training data. Without this key the data stay as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection: Option<CollectionConfig>,
    /// When to stop early, by the validation log-likelihood; needs `data.validation_fraction`. Never without this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<EarlyStopping>,
    /// The floating-point type of parameters and data.
    pub precision: Precision,
    /// The device that computes.
    pub device: Device,
}

/// The share of the steps after which starts are compared, unless a file says otherwise.
const START_SHARE: f64 = 0.1;

/// Specs of runs with one start are written as they were before there was a choice, so that their records stay theirs.
fn is_one(starts: &u64) -> bool {
    *starts == 1
}

fn is_usual_share(share: &f64) -> bool {
    *share == START_SHARE
}

impl Default for AdamConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            learning_rate_schedule: LearningRateSchedule::Constant,
            warm_up_steps: 0,
            batch_size: 256,
            window: None,
            starts: 1,
            start_share: START_SHARE,
            steps: 5000,
            evaluate_every: 250,
            gradient_clip: None,
            weight_decay: 0.0,
            averaging: 0.0,
            given_noise: 0.0,
            observed_noise: 0.0,
            collection: None,
            early_stopping: None,
            precision: Precision::F32,
            device: Device::Cpu,
        }
    }
}

/// Keys of `optimizer = "em"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EmConfig {
    /// Sweeps over the data, at most.
    #[schemars(range(min = 0))]
    pub steps: u64,
    /// Stops once a sweep raises the lower bound by less than this, in nats per datum; 0 never stops early.
    #[schemars(range(min = 0.0))]
    pub tolerance: f64,
    /// Number of starts from different initial values. Each is run to its end; the one with the largest training
    /// log-likelihood is kept.
    #[schemars(range(min = 1, max = 100_000))]
    pub starts: u64,
    /// Sweeps between evaluations (and checkpoints).
    #[schemars(range(min = 1))]
    pub evaluate_every: u64,
}

impl Default for EmConfig {
    fn default() -> Self {
        Self {
            steps: 200,
            tolerance: 1e-9,
            starts: 1,
            evaluate_every: 1,
        }
    }
}

impl TrainingConfig {
    /// The name of gradient ascent in files.
    pub const ADAM: &'static str = "adam";
    /// The name of expectation–maximisation in files.
    pub const EM: &'static str = "em";

    /// The optimizer's name in files.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Adam(_) => Self::ADAM,
            Self::Em(_) => Self::EM,
        }
    }

    /// The update of the optimizer with this name.
    pub fn equation(name: &str) -> Option<&'static str> {
        match name {
            Self::ADAM => Some("θ ← θ + rate · m̂ / (√v̂ + ε), m and v the running means of g and g²"),
            Self::EM => Some("θ ← argmax_θ Σ_i w_i Σ_s w_is log p_θ(x_i, z_is)"),
            _ => None,
        }
    }

    /// The settings of gradient ascent, if it is the optimizer.
    pub fn adam(&self) -> Option<&AdamConfig> {
        match self {
            Self::Adam(config) => Some(config),
            Self::Em(_) => None,
        }
    }

    /// Steps or sweeps at most.
    pub fn steps(&self) -> u64 {
        match self {
            Self::Adam(config) => config.steps,
            Self::Em(config) => config.steps,
        }
    }

    /// What steps are called.
    pub fn unit(&self) -> &'static str {
        match self {
            Self::Adam(_) => "steps",
            Self::Em(_) => "sweeps",
        }
    }

    /// The same with at most this many steps.
    pub fn at_most(mut self, most: u64) -> Self {
        let steps = match &mut self {
            Self::Adam(config) => &mut config.steps,
            Self::Em(config) => &mut config.steps,
        };
        *steps = most.min(*steps);
        self
    }

    /// Starts of training: the best is kept.
    pub fn starts(&self) -> u64 {
        match self {
            Self::Adam(config) => config.starts,
            Self::Em(config) => config.starts,
        }
    }

    /// Steps over which the learning rate grows.
    pub fn warm_up_steps(&self) -> u64 {
        self.adam().map_or(0, |config| config.warm_up_steps)
    }

    /// The faults of this table; `validation` says whether validation rows are held out.
    pub fn check(&self, validation: bool) -> Vec<Fault> {
        let Self::Adam(config) = self else { return Vec::new() };
        let mut faults = Vec::new();
        if config.early_stopping.is_some() && !validation {
            faults.push(Fault::new(
                "early_stopping",
                "there are no validation rows to stop on",
                "`data.validation_fraction` above 0",
                "add `validation_fraction = 0.1` to `[data]`, or remove `early_stopping`",
            ));
        }
        if let Some(collection) = config.collection.as_ref().filter(|own| own.every >= config.steps) {
            faults.push(Fault::new(
                "collection.every",
                format!("no round before the end of {} steps", config.steps),
                "fewer than `steps`",
                format!("lower it from {}, or train longer", collection.every),
            ));
        }
        if config.device == Device::Cuda
            && let Some((message, help)) = no_gpu()
        {
            faults.push(Fault::new("device", message, "`device = \"cpu\"`", help));
        }
        if config.warm_up_steps > config.steps {
            faults.push(Fault::new(
                "warm_up_steps",
                format!(
                    "{} steps of warm-up in {} steps of training",
                    config.warm_up_steps, config.steps
                ),
                "at most `steps`",
                "shorten the warm-up",
            ));
        }
        faults
    }

    /// The floating-point type and the device.
    pub fn placement(&self) -> Result<(DType, candle_core::Device)> {
        let Self::Adam(config) = self else {
            return Ok((DType::F64, candle_core::Device::Cpu));
        };
        let dtype = match config.precision {
            Precision::F32 => DType::F32,
            Precision::F64 => DType::F64,
        };
        let device = match config.device {
            Device::Cpu => candle_core::Device::Cpu,
            Device::Cuda => first_gpu()?,
        };
        Ok((dtype, device))
    }
}

/// The first GPU. Every call opens it anew, and tensors of two such devices cannot be combined, so a run calls this
/// once.
fn first_gpu() -> Result<candle_core::Device> {
    candle_core::Device::new_cuda(0).map_err(|error| {
        let error = error.to_string(); // followed by a backtrace if one is enabled
        let error = error.lines().next().unwrap_or_default();
        Error::Other(format!("no GPU can be used: {error}"))
    })
}

/// Why no GPU can be used, and what to try; none if one can. The GPU is tried once.
fn no_gpu() -> Option<(String, &'static str)> {
    if cfg!(not(feature = "cuda")) {
        return Some((
            "this build has no CUDA".to_owned(),
            "or build with `cargo build --release --features cuda`, which needs the CUDA toolkit",
        ));
    }
    static FOUND: LazyLock<Option<String>> = LazyLock::new(|| first_gpu().err().map(|error| error.to_string()));
    let help = "or run where `nvidia-smi` lists a GPU, with a driver no older than the CUDA toolkit of this build";
    FOUND.clone().map(|message| (message, help))
}

impl AdamConfig {
    /// The learning rate of `step`, counted from 0.
    pub fn learning_rate_at(&self, step: u64) -> f64 {
        let warm_up = if step < self.warm_up_steps {
            (step + 1) as f64 / self.warm_up_steps as f64
        } else {
            1.0
        };
        let rest = (self.steps - self.warm_up_steps).max(1) as f64;
        let progress = step.saturating_sub(self.warm_up_steps) as f64 / rest;
        let decay = match self.learning_rate_schedule {
            LearningRateSchedule::Constant => 1.0,
            LearningRateSchedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            LearningRateSchedule::Linear => 1.0 - progress,
        };
        self.learning_rate * warm_up * decay
    }
}
