//! Who trains q of sequences is independent of what trains θ, also where q is built with the model's own transition.

use crate::sequences::case::splits;
use crate::sequences::neural_case::{DATA, FAMILIES, MODELS, is_of_the_model, numbers};
use latent_lab::math::streams::Streams;
use latent_lab::model::ModelConfig;
use latent_lab::posterior::PosteriorConfig;
use latent_lab::train::{Job, Observer, TrainingConfig, train};

struct Nobody;

impl Observer for Nobody {}

/// θ after one step, with the bound of one path as its objective and φ trained so.
fn trained(family: &str, fit: &str) -> Vec<f64> {
    let (splits, streams) = (splits(DATA), Streams::new(3));
    let config: ModelConfig = toml::from_str(MODELS[1]).expect("a model");
    let model = config.build(&splits.train).expect("a model");
    let posterior = format!("kind = 'amortised'\nhidden = [3]\nrecurrent_units = 3\nfit = '{fit}'\n{family}");
    let posterior: PosteriorConfig = toml::from_str(&posterior).expect("a posterior");
    let training = "optimizer = 'adam'\nsteps = 1\nevaluate_every = 10\nprecision = 'f64'";
    let training: TrainingConfig = toml::from_str(training).expect("training");
    let job = Job {
        model: model.as_ref(),
        posterior: &posterior,
        objective: &toml::from_str("kind = 'iwae'").expect("an objective"),
        training: &training,
        splits: &splits,
        original: &splits,
        streams: &streams,
        threads: 1,
        evaluation: &toml::from_str("bounds.samples = 1").expect("an evaluation"),
        controlled: None,
    };
    let theta = train(&job, None, &mut Nobody).expect("training").theta;
    let own = theta.iter().filter(|(name, _)| is_of_the_model(name));
    own.flat_map(|(_, var)| numbers(var.as_tensor())).collect()
}

/// iwae of one path shares no gradient with the bound of φ, so θ is trained on the same detached paths whatever φ
/// maximises.
#[test]
fn the_fit_of_the_network_does_not_reach_the_model() {
    for family in FAMILIES {
        let [reverse, forward] = ["reverse_kl", "forward_kl"].map(|fit| trained(family, fit));
        assert_eq!(reverse, forward, "{family}");
    }
}
