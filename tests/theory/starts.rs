//! Several starts of training by gradient: the best by the training objective is the one that is trained.

use latent_lab::Result;
use latent_lab::data::DataConfig;
use latent_lab::math::streams::Streams;
use latent_lab::model::ModelConfig;
use latent_lab::nn::Parameters;
use latent_lab::train::{Job, Observer, State, TrainingConfig, train};
use std::path::Path;

/// Notes what happens, and stops at every work unit after the first ones, if it is to.
#[derive(Default)]
struct Watch {
    notes: Vec<String>,
    evaluated: Vec<u64>,
    units: u64,
    stop_after: Option<u64>,
    state: Option<State>,
}

impl Observer for Watch {
    fn noted(&mut self, _step: u64, text: &str) -> Result<()> {
        self.notes.push(text.to_owned());
        Ok(())
    }

    fn evaluated(&mut self, step: u64, _metrics: &[(String, f64)]) -> Result<()> {
        self.evaluated.push(step);
        Ok(())
    }

    fn progressed(&mut self, done: u64, of: u64) {
        assert!(done <= of);
        self.units += 1;
    }

    fn interrupted(&self) -> bool {
        self.stop_after.is_some_and(|units| self.units >= units)
    }

    fn checkpoint(&mut self, _required: bool, state: &dyn Fn() -> Result<State>) -> Result<()> {
        self.state = Some(state()?);
        Ok(())
    }
}

/// Trains; with `stop_after`, interrupted whenever so many units of work are done, and resumed.
fn trained(training: &str, stop_after: Option<u64>) -> (Vec<f64>, Watch) {
    let streams = Streams::new(5);
    let data: DataConfig = toml::from_str("source = 'three_clusters'\ntrain = 200\ntest = 10").expect("data");
    let splits = data.load(Path::new(""), &streams).expect("rows");
    let config: ModelConfig =
        toml::from_str("kind = 'gaussian_mixture'\ncomponents = 4\ninitial_values = 'random'").expect("a model");
    let model = config.build(&splits.train).expect("a model");
    let text = format!(
        "optimizer = 'adam'\nsteps = 40\nevaluate_every = 20\nbatch_size = 50\nlearning_rate = 0.05\nprecision = 'f64'\n{training}"
    );
    let training: TrainingConfig = toml::from_str(&text).expect("training");
    let job = Job {
        model: model.as_ref(),
        posterior: &toml::from_str("kind = 'exact'").expect("a posterior"),
        objective: &toml::from_str("kind = 'marginal_likelihood'").expect("an objective"),
        training: &training,
        splits: &splits,
        original: &splits,
        streams: &streams,
        threads: 1,
        evaluation: &toml::from_str("bounds.samples = 1").expect("an evaluation"),
        controlled: None,
    };
    let mut watch = Watch::default();
    let mut resume = None;
    loop {
        watch.units = 0;
        watch.stop_after = stop_after;
        match train(&job, resume.take(), &mut watch) {
            Ok(trained) => return (numbers(&trained.theta), watch),
            Err(_) => resume = watch.state.take(),
        }
    }
}

fn numbers(theta: &Parameters) -> Vec<f64> {
    let flat = |var: &candle_core::Var| var.flatten_all().and_then(|flat| flat.to_vec1::<f64>());
    theta.iter().flat_map(|(_, var)| flat(var).expect("numbers")).collect()
}

#[test]
fn the_start_with_the_largest_objective_is_trained() {
    let (best, watch) = trained("starts = 5\nstart_share = 0.25", None);
    let objectives: Vec<f64> = watch
        .notes
        .iter()
        .filter_map(|note| note.strip_prefix("start ")?.split_whitespace().nth(2)?.parse().ok())
        .collect();
    assert_eq!((objectives.len(), &watch.evaluated[..]), (5, &[0, 20, 40][..]));
    // A single start is the first of several.
    let (first, alone) = trained("", None);
    assert!(alone.notes.is_empty());
    let (largest, _) = objectives
        .iter()
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(b.1))
        .expect("starts");
    assert_eq!(largest == 0, best == first);
    assert!(largest > 0, "the first start is the best of this seed: {objectives:?}");
    // Fewer starts choose among fewer.
    let (same, _) = trained(&format!("starts = {}\nstart_share = 0.25", largest + 1), None);
    assert_eq!(best, same);
}

#[test]
fn an_interrupted_search_ends_like_one_that_was_not() {
    let training = "starts = 3\nstart_share = 0.25";
    let (whole, once) = trained(training, None);
    let (resumed, often) = trained(training, Some(13));
    assert_eq!(whole, resumed);
    assert_eq!((once.notes, once.evaluated), (often.notes, often.evaluated));
}
