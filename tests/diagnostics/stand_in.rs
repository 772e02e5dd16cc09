//! A small stand-in for the real spec, with every feature that the loader handles.

use std::path::Path;

use latent_lab::error::Fault;
use latent_lab::spec::{Diagnostics, Loaded, load};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One variant of a small experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spec {
    pub data: Data,
    pub model: Model,
    pub posterior: Posterior,
    #[serde(default)]
    pub training: Training,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<Evaluation>,
}

/// Where the data come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Data {
    #[serde(flatten)]
    pub source: Source,
    /// Data to train on.
    #[serde(default = "thousand")]
    #[schemars(range(min = 1))]
    pub train: u64,
}

fn thousand() -> u64 {
    1000
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum Source {
    /// Bishop's many-valued inverse problem.
    InverseSinusoid,
    /// The user's own table.
    File {
        /// Relative to the experiment file.
        path: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Model {
    /// One Gaussian.
    Gaussian,
    /// A mixture whose parts depend on the input.
    ConditionalMixture(ConditionalMixture),
}

/// Options of the conditional mixture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConditionalMixture {
    /// Number of components.
    #[schemars(range(min = 1, max = 100))]
    pub components: usize,
    /// Units of each hidden layer.
    pub hidden: Vec<u32>,
    /// What the weights depend on.
    pub prior: Prior,
    /// Smallest and largest value.
    pub bounds: [f64; 2],
}

impl Default for ConditionalMixture {
    fn default() -> Self {
        Self {
            components: 5,
            hidden: vec![64, 64],
            prior: Prior::GivenX,
            bounds: [0.0, 1.0],
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Prior {
    /// p(z|x).
    GivenX,
    /// p(z).
    Marginal,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Posterior {
    /// Every latent value, weighted.
    Exact,
    /// Draws from the exact posterior.
    Sampled {
        /// Draws per datum.
        #[schemars(range(min = 1))]
        samples: u32,
    },
}

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Training {
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub learning_rate: f64,
    pub steps: u64,
    pub early_stopping: bool,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            steps: 5000,
            early_stopping: false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evaluation {
    pub metrics: Vec<Metric>,
}

/// Stands for types with a hand-written deserialiser, which refuses more than the schema does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Metric(String);

impl TryFrom<String> for Metric {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let known = name == "log_likelihood";
        if known {
            Ok(Self(name))
        } else {
            Err(format!("there is no metric {name:?}"))
        }
    }
}

/// A file without fault.
pub const VALID: &str = r#"question = "Which posterior?"
seeds = 10

[data]
source = "inverse_sinusoid"
train = 500

[model]
kind = "conditional_mixture"
components = 5
hidden = [64, 64]

[posterior]
kind = "exact"

[training]
learning_rate = 1e-3
steps = 100

[[variant]]
name = "exact"

[[variant]]
name = "sampled"
posterior = { kind = "sampled", samples = 8 }
"#;

/// One component has only one latent value, so there is nothing to sample.
pub fn semantic(spec: &Spec, _folder: &Path) -> Vec<Fault> {
    match (&spec.model, &spec.posterior) {
        (Model::ConditionalMixture(model), Posterior::Sampled { .. }) if model.components == 1 => {
            let message = "one component leaves nothing to sample";
            vec![Fault::new(
                "model.components",
                message,
                "at least 2",
                "or take the posterior \"exact\"",
            )]
        }
        _ => Vec::new(),
    }
}

/// Loads a file `bends.toml` of these bytes.
pub fn load_bytes(bytes: &[u8], overrides: &[&str]) -> Result<Loaded<Spec>, Diagnostics> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bends.toml");
    std::fs::write(&path, bytes).unwrap();
    let overrides: Vec<String> = overrides.iter().map(|text| text.to_string()).collect();
    load(&path, &overrides, semantic)
}

/// The valid file with one piece replaced.
pub fn with(old: &str, new: &str) -> String {
    assert!(VALID.contains(old), "{old:?} is not in the valid file");
    VALID.replacen(old, new, 1)
}
