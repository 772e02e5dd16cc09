//! The path that a GPU takes, on the CPU: training by composed tensor operations gives the results of the fused
//! kernels. With the feature `cuda`, the same on a GPU.

use candle_core::Device;
use latent_lab::Result;
use latent_lab::data::DataConfig;
use latent_lab::math::streams::Streams;
use latent_lab::model::ModelConfig;
use latent_lab::nn::{Parameters, with_composed};
use latent_lab::objective::ObjectiveConfig;
use latent_lab::posterior::PosteriorConfig;
use latent_lab::train::{Job, Observer, TrainingConfig, train};
use std::path::Path;

/// Remembers the last evaluation.
#[derive(Default)]
struct Last(Vec<(String, f64)>);

impl Observer for Last {
    fn evaluated(&mut self, _: u64, metrics: &[(String, f64)]) -> Result<()> {
        self.0 = metrics.to_vec();
        Ok(())
    }
}

/// θ and the metrics that training ends with.
type Outcome = (Parameters, Vec<(String, f64)>);

fn trained(device: &str, [model, data, posterior, objective]: [&str; 4]) -> Outcome {
    let streams = Streams::new(5);
    let data: DataConfig = toml::from_str(&format!("{data}\ntrain = 80\nstandardize = true")).expect("data");
    let splits = data.load(Path::new(""), &streams).expect("rows");
    let model: ModelConfig = toml::from_str(model).expect("a model");
    let model = model.build(&splits.train).expect("a model");
    let posterior: PosteriorConfig = toml::from_str(posterior).expect("a posterior");
    let objective: ObjectiveConfig = toml::from_str(objective).expect("an objective");
    let training: TrainingConfig = toml::from_str(&format!(
        "optimizer = 'adam'\nprecision = 'f64'\nsteps = 25\nbatch_size = 32\nevaluate_every = 25\ngradient_clip = 1.0\n\
         weight_decay = 0.1\naveraging = 0.9\nobserved_noise = 0.01\ndevice = {device:?}"
    ))
    .expect("training");
    let job = Job {
        model: model.as_ref(),
        posterior: &posterior,
        objective: &objective,
        training: &training,
        splits: &splits,
        original: &splits,
        streams: &streams,
        threads: 1,
        evaluation: &toml::from_str("bounds.samples = 10").expect("an evaluation"),
        controlled: None,
    };
    let mut last = Last::default();
    let trained = train(&job, None, &mut last).expect("training");
    (trained.theta, last.0)
}

const MIXTURE: &str = "kind = 'conditional_mixture'\ncomponents = 3\nhidden = [7, 5]";
const RELU: &str =
    "kind = 'conditional_mixture'\ncomponents = 2\nhidden = [4, 3]\nactivation = 'relu'\ncovariance = 'full'";
const SILU: &str = "kind = 'conditional_mixture'\ncomponents = 2\nhidden = [4]\nactivation = 'silu'";
const CLUSTERS: &str = "kind = 'gaussian_mixture'\ncomponents = 3";
const DECODER: &str = "kind = 'latent_gaussian'\nhidden = [6]";
const PARTS: &str =
    "kind = 'latent_gaussian'\nhidden = [6]\nprior = 'mixture'\nprior_components = 3\ndeviation = 'given_z'";
const LINEAR: &str = "kind = 'latent_gaussian'\nhidden = []\nlatent_dimensions = 1";
const POLICY: &str = "kind = 'latent_gaussian'\nhidden = [6]\nlatent_dimensions = 1\nprior = 'given_x'";

const SINUSOID: &str = "source = 'inverse_sinusoid'";
const TREE: &str = "source = 'tree'";
const THREE: &str = "source = 'three_clusters'";
const RING: &str = "source = 'ring'";

const EXACT: &str = "kind = 'exact'";
const SAMPLED: &str = "kind = 'sampled'\nsamples = 4";
const NETWORK: &str = "kind = 'amortised'\nhidden = [5]";
const SELF_TAUGHT: &str = "kind = 'amortised'\nhidden = [5]\nsamples = 3\nfit = 'objective'";
const DREAMS: &str = "kind = 'amortised'\nhidden = [5]\nsamples = 2\nfit = 'forward_kl'";
const WEIGHTED: &str = "kind = 'importance'\nsamples = 4\nproposal = 'amortised'\nhidden = [5]\nphase = 'wake'";
const CHAINS: &str = "kind = 'hamiltonian'\nsamples = 2\nburn_in = 3\nleapfrog_steps = 3";

const MARGINAL: &str = "kind = 'marginal_likelihood'";
const EXPECTED: &str = "kind = 'expected_log_likelihood'";
const ELBO: &str = "kind = 'elbo'";
const FREE: &str = "kind = 'elbo'\nfree_nats = 0.5\nwarm_up_steps = 4";
const IWAE: &str = "kind = 'iwae'";
const DOUBLY: &str = "kind = 'iwae'\ngradient = 'doubly_reparameterised'";
const REGRESSION: &str = "kind = 'mean_squared_error'";

/// Model, data, posterior, objective: every kind of each that is computed with tensors.
const CASES: [[&str; 4]; 18] = [
    [MIXTURE, SINUSOID, EXACT, MARGINAL],
    [MIXTURE, SINUSOID, EXACT, EXPECTED],
    [MIXTURE, TREE, SAMPLED, EXPECTED],
    [MIXTURE, TREE, "kind = 'hard'", ELBO],
    [MIXTURE, SINUSOID, EXACT, REGRESSION],
    [MIXTURE, SINUSOID, DREAMS, EXPECTED],
    [RELU, TREE, EXACT, MARGINAL],
    [SILU, SINUSOID, SAMPLED, IWAE],
    [CLUSTERS, THREE, EXACT, EXPECTED],
    [CLUSTERS, THREE, NETWORK, FREE],
    [DECODER, RING, NETWORK, ELBO],
    [DECODER, RING, SELF_TAUGHT, DOUBLY],
    [DECODER, RING, CHAINS, EXPECTED],
    [PARTS, RING, WEIGHTED, EXPECTED],
    [LINEAR, RING, EXACT, MARGINAL],
    [LINEAR, RING, SAMPLED, EXPECTED],
    [POLICY, SINUSOID, NETWORK, FREE],
    [POLICY, SINUSOID, DREAMS, EXPECTED],
];

#[track_caller]
fn assert_same(case: [&str; 4], (fused, fused_metrics): &Outcome, (other, other_metrics): &Outcome) {
    for ((name, one), (_, other)) in fused.iter().zip(other.iter()) {
        let other = other.as_tensor().to_device(&Device::Cpu);
        let difference = other.and_then(|other| (one.as_tensor() - other)?.abs()?.flatten_all()?.max(0)?.to_scalar());
        let difference: f64 = difference.expect("a number");
        assert!(difference < 1e-9, "{name} of {case:?}: {difference}");
    }
    assert_eq!(fused_metrics.len(), other_metrics.len(), "{case:?}");
    for ((name, one), (_, other)) in fused_metrics.iter().zip(other_metrics) {
        let near = (one - other).abs() < 1e-7 * one.abs().max(1.0);
        assert!(near, "{name} of {case:?}: {one} {other}");
    }
}

#[test]
fn composed_training_ends_where_fused_training_ends() {
    for case in CASES {
        let (fused, composed) = (trained("cpu", case), with_composed(|| trained("cpu", case)));
        assert_same(case, &fused, &composed);
    }
}

/// Needs a GPU, as does the feature.
#[cfg(feature = "cuda")]
#[test]
fn training_on_a_gpu_ends_where_training_on_the_processor_ends() {
    for case in CASES {
        assert_same(case, &trained("cpu", case), &trained("cuda", case));
    }
}
