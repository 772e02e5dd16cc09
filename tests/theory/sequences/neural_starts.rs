//! Where networks start, and what changes by a schedule while they learn.

use crate::sequences::case::{distance, norm, splits};
use crate::sequences::neural_case::{Neural, amortised, everything, numbers};
use candle_core::{DType, Device};
use latent_lab::Result;
use latent_lab::data::Batch;
use latent_lab::math::streams::Streams;
use latent_lab::model::ModelConfig;
use latent_lab::nn::Parameters;
use latent_lab::posterior::PosteriorConfig;
use latent_lab::train::{Job, Observer, State, TrainingConfig, stored, train};

/// A state that moves by its two inputs, seen through three numbers with hardly any noise.
const MOVED: &str = "source = 'lgssm'\nlength = 6\ntrain = 300\ntransition = [[1.0, 0.0], [0.0, 1.0]]\ntransition_input = [[1.0, \
                     0.0], [0.0, 1.0]]\ntransition_noise = [[1e-12, 0.0], [0.0, 1e-12]]\nemission = [[1.0, 0.4], [-0.3, 2.0], \
                     [0.5, -0.5]]\nemission_noise = [[1e-12, 0.0, 0.0], [0.0, 1e-12, 0.0], [0.0, 0.0, 1e-12]]";

const MODEL: &str = "kind = 'neural_ssm'\nstates = 2\ntransition = { kind = 'linear' }\nemission = { kind = 'perceptron', hidden \
                     = [4] }";

const START: &str = "initial_values = { kind = 'least_squares', ridge = 1e-9, deviation = 3.0, frozen = 0.5 }";

/// Stops training after `steps` steps and keeps its last state.
struct Until {
    steps: u64,
    done: u64,
    state: Option<State>,
}

impl Observer for Until {
    fn progressed(&mut self, done: u64, _of: u64) {
        self.done = done;
    }

    fn interrupted(&self) -> bool {
        self.done >= self.steps
    }

    fn checkpoint(&mut self, _required: bool, state: &dyn Fn() -> Result<State>) -> Result<()> {
        self.state = Some(state()?);
        Ok(())
    }
}

/// θ and φ after `done` of `steps` steps of training, and where the mean of q starts at every step.
fn trained(family: &str, model: &str, steps: u64, done: u64) -> (Parameters, Vec<Vec<f64>>) {
    let (splits, streams) = (splits(MOVED), Streams::new(3));
    let config: ModelConfig = toml::from_str(model).expect("a model");
    let model = config.build(&splits.train).expect("a model");
    let posterior = format!("kind = 'amortised'\nhidden = [3]\nrecurrent_units = 3\n{family}");
    let posterior: PosteriorConfig = toml::from_str(&posterior).expect("a posterior");
    let training =
        format!("optimizer = 'adam'\nsteps = {steps}\nevaluate_every = 1000\nprecision = 'f64'\nbatch_size = 10");
    let training: TrainingConfig = toml::from_str(&training).expect("training");
    let job = Job {
        model: model.as_ref(),
        posterior: &posterior,
        objective: &toml::from_str("kind = 'elbo'").expect("an objective"),
        training: &training,
        splits: &splits,
        original: &splits,
        streams: &streams,
        threads: 1,
        evaluation: &toml::from_str("bounds.samples = 1").expect("an evaluation"),
        controlled: None,
    };
    let mut until = Until {
        steps: done,
        done: 0,
        state: None,
    };
    assert!(train(&job, None, &mut until).is_ok() == (done >= steps));
    let state = until.state.expect("a checkpoint");
    let theta = stored(&state, "last", &Device::Cpu).expect("parameters").expect("θ");
    let batch = Batch::whole(&splits.train, DType::F64, &Device::Cpu).expect("a batch");
    let joint = model.joint(&theta, &batch).expect("a joint");
    let sequential = joint.sequential().expect("paths");
    let features = sequential.features().clone();
    let weight = theta.get("posterior.start").expect("W");
    let bias = theta.get("posterior.start.bias").expect("a bias");
    let flat = features
        .flatten_to(1)
        .and_then(|rows| rows.matmul(weight))
        .and_then(|rows| rows.broadcast_add(bias));
    let means = flat.and_then(|rows| rows.to_vec2::<f64>()).expect("means");
    (theta.clone(), means)
}

/// Differences of the start's means are the inputs, in one scale for both dimensions, and the means have the deviation asked.
#[test]
fn the_least_squares_start_moves_by_the_inputs() {
    let (_, means) = trained(&format!("family = 'single_step'\n{START}"), MODEL, 4, 1);
    let train = splits(MOVED).train;
    let inputs = train.given.as_ref().expect("inputs");
    let square: f64 = means.iter().flatten().map(|v| v * v).sum();
    assert!((square / (2.0 * means.len() as f64) - 9.0).abs() < 1e-6);
    let mut scales = Vec::new();
    for (t, pair) in means.windows(2).enumerate().filter(|(t, _)| t % 6 != 5) {
        let moves = pair[1].iter().zip(&pair[0]).map(|(after, before)| after - before);
        scales.extend(moves.enumerate().map(|(j, moved)| moved / inputs.value(t, j)));
    }
    let first = scales[0];
    assert!(
        first > 0.0 && scales.iter().all(|scale| (scale / first - 1.0).abs() < 1e-3),
        "{first} {scales:?}"
    );
}

/// While the mean is frozen everything else learns; then it does, too.
#[test]
fn a_frozen_start_stays_and_then_learns() {
    for family in ["single_step", "mean_field", "filtering", "initial_only"] {
        let family = format!("family = '{family}'\n{START}");
        let (start, _) = trained(&family, MODEL, 8, 1);
        let (frozen, _) = trained(&family, MODEL, 8, 4);
        let (free, _) = trained(&family, MODEL, 8, 6);
        let own = |theta: &Parameters, name: &str| numbers(theta.get(name).expect("a parameter"));
        for name in ["posterior.start", "posterior.start.bias"] {
            assert_eq!(own(&start, name), own(&frozen, name), "{family}");
            assert_ne!(own(&frozen, name), own(&free, name), "{family}");
        }
        assert_ne!(own(&start, "emission.1.weight"), own(&frozen, "emission.1.weight"));
        assert_ne!(
            own(&start, "posterior.head.1.weight"),
            own(&frozen, "posterior.head.1.weight")
        );
        assert_eq!(
            [own(&start, "posterior.gate"), own(&free, "posterior.gate")],
            [[0.0], [1.0]]
        );
    }
}

/// An open gate: q starts at a map of the observation, and every parameter has the gradient of finite differences. Those of the
/// gate itself are no part of training.
#[test]
fn gradients_with_a_start_and_a_decoder_are_those_of_finite_differences() {
    let model = "kind = 'neural_ssm'\nstates = 2\nemission_deviation_floor_schedule = { from = 0.3, until = 0.5 }\nemission = { \
                 kind = 'perceptron', hidden = [3], fourier = { waves = 2 }, skip = { gate = 0.7 } }";
    for family in [
        "family = 'single_step'",
        "family = 'smoothing'",
        "family = 'initial_only'",
    ] {
        let start = "initial_values = { kind = 'least_squares', deviation = 1.0 }";
        let case = Neural::of_data(model, amortised(&format!("{family}\n{start}")), MOVED);
        for (gate, value) in [("posterior.gate", 1.0), ("emission.gate", 0.7)] {
            case.theta.fill(gate, value).expect("a gate");
        }
        let exact = case.gradient("kind = 'elbo'", 0, everything);
        let mut differences = case.differences("kind = 'elbo'", 0);
        let mut at = 0;
        for (name, var) in case.theta.iter() {
            let count = var.elem_count();
            if ["posterior.gate", "emission.gate", "emission.floor", "emission.waves"].contains(&name) {
                assert!(exact[at..at + count].iter().all(|v| *v == 0.0), "{name}");
                differences[at..at + count].fill(0.0);
            }
            at += count;
        }
        let apart = distance(&exact, &differences) / norm(&differences);
        assert!(apart < 1e-6, "{family}: {apart}");
    }
}

/// The smallest deviation falls by the same factor in each step until its schedule ends.
#[test]
fn the_floor_of_the_emission_follows_its_schedule() {
    let model = format!(
        "{MODEL}\nemission_deviation_floor = 0.01\nemission_deviation_floor_schedule = {{ from = 0.16, until = 0.5 }}"
    );
    let family = format!("family = 'single_step'\n{START}");
    let floor = |done| {
        numbers(
            trained(&family, &model, 8, done)
                .0
                .get("emission.floor")
                .expect("a floor"),
        )[0]
    };
    for (done, expected) in [(1, 0.08), (2, 0.04), (4, 0.01), (8, 0.01)] {
        assert!((floor(done) / expected - 1.0).abs() < 1e-9, "{done}: {}", floor(done));
    }
}
