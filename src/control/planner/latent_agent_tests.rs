//! Fast roll-outs against tensors, refused actions, and the whole agent with an encoder of known quality.

use super::*;
use crate::control::roll_out;
use crate::data::{DataConfig, Splits};
use crate::model::neural_ssm::NeuralSsm;
use crate::model::{Model, ModelKind};
use crate::nn::Parameters;
use crate::posterior::PosteriorConfig;
use candle_core::{DType, Device, Tensor};
use latent_lab_envs::{Environment, Planar};
use nalgebra::DMatrix;
use rand::RngExt;
use std::path::Path;

#[path = "latent_agent_reward_tests.rs"]
mod rewards;

/// Explored data of planar or pendulum_16, a model and a posterior of them, with initial parameters.
struct Case {
    splits: Splits,
    model: Box<dyn Model>,
    posterior: PosteriorConfig,
    theta: Parameters,
}

fn case(data: &str, model: &str, posterior: &str, dtype: DType) -> Case {
    let streams = Streams::new(0);
    let data: DataConfig = toml::from_str(&format!("source = 'exploration'\n{data}")).expect("keys");
    let splits = data.load(Path::new(""), &streams).expect("rows");
    let keys: NeuralSsm = toml::from_str(model).expect("keys");
    let model = keys.build(&splits.train).expect("a model");
    let posterior: PosteriorConfig = toml::from_str(posterior).expect("keys");
    let mut theta = model
        .initial(&splits.train, &streams, 0, dtype, &Device::Cpu)
        .expect("parameters");
    posterior
        .initial(model.as_ref(), &splits.train, &streams, &mut theta)
        .expect("parameters");
    Case {
        splits,
        model,
        posterior,
        theta: theta.constant(),
    }
}

impl Case {
    fn agent(&self, window: usize, remembers_refused: bool) -> LatentAgent<'_> {
        let encoder = Encoder {
            model: self.model.as_ref(),
            theta: self.theta.clone(),
            posterior: &self.posterior,
            steps: 0,
            standardization: &self.splits.standardization,
        };
        let planner = Planner::Cem(crate::control::planner::Cem {
            horizon: 10,
            candidates: 60,
            elites: 10,
            rounds: 4,
            ..Default::default()
        });
        let columns = self.splits.train.observed.columns();
        let settings = (Cost::ActionUnits, window, remembers_refused);
        LatentAgent::new(encoder, columns, Planar::default().action(), planner, settings).expect("an agent")
    }
}

#[test]
fn fast_roll_outs_are_those_of_tensors_and_of_single_steps() {
    let data = "environment = 'planar'\ntrain = 60\ntest = 20\nstandardize = true";
    for transition in [
        "{ kind = 'linear' }",
        "{ kind = 'perceptron', hidden = [7] }",
        "{ kind = 'perceptron', hidden = [6, 5], activation = 'silu', residual = false }",
        "{ kind = 'gated', hidden = [4] }",
        "{ kind = 'recurrent', units = 5 }",
    ] {
        let model = format!("states = 3\ntransition = {transition}\nemission = {{ kind = 'linear' }}");
        let mut case = case(data, &model, "kind = 'amortised'\nhidden = [4]", DType::F64);
        // No entry is at its initial value, which may be 0.
        let mut moved = Parameters::new();
        let mut rng = Streams::new(1).named("moved").at(0);
        for (name, own) in case.theta.iter() {
            let values: Vec<f64> = own
                .as_tensor()
                .flatten_all()
                .and_then(|v| v.to_vec1())
                .expect("numbers");
            let values: Vec<f64> = values.iter().map(|v| v + rng.random_range(-0.2..0.2)).collect();
            let value = Tensor::from_vec(values, own.as_tensor().shape(), &Device::Cpu).expect("a tensor");
            moved.insert(name, &value).expect("a parameter");
        }
        case.theta = moved.constant();
        let agent = case.agent(2, false);
        let (fast, slow) = (&agent.transitions, agent.transitions.clone().by_tensors());
        let (sequences, steps) = (19, 4);
        let actions: Vec<f64> = (0..sequences * steps * 2)
            .map(|_| rng.random_range(-3.0..3.0))
            .collect();
        let start: Vec<f64> = (0..fast.width()).map(|_| rng.random_range(-1.0..1.0)).collect();
        let got = fast.paths(&start, &actions, steps).expect("paths");
        let expected = slow.paths(&start, &actions, steps).expect("paths");
        assert_eq!(got.len(), sequences * steps * fast.width());
        for (got, expected) in got.iter().zip(&expected) {
            assert!((got - expected).abs() < 2e-5, "{transition}: {got} {expected}");
        }
        // One sequence, step by step.
        let mut state = start;
        for (action, expected) in actions
            .chunks_exact(2)
            .zip(expected.chunks_exact(fast.width()))
            .take(steps)
        {
            state = slow.next(&state, action).expect("a state");
            // Products of one row and of many are rounded differently.
            let differs = |(a, b): (&f64, &f64)| (a - b).abs() > 1e-12;
            assert!(
                !state.iter().zip(expected).any(differs),
                "{transition}: {state:?} {expected:?}"
            );
        }
    }
}

/// The gain of x' = A x + B u, u standardised as the data are, is B in units of the environment; B⁺ undoes it.
#[test]
fn the_cost_in_units_of_actions_undoes_the_gain() {
    let data = "environment = 'planar'\ntrain = 60\ntest = 20\nstandardize = true";
    let model = "states = 2\ntransition = { kind = 'linear', input = { fixed = [[0.3, 0.1], [-0.2, 2.0]] } }\n\
                 emission = { kind = 'linear' }";
    let case = case(data, model, "kind = 'amortised'\nhidden = [4]", DType::F64);
    let agent = case.agent(1, false);
    let weight = Cost::ActionUnits
        .weight(&[0.4, 0.2], &agent.transitions, &agent.controls)
        .expect("a weight");
    let b = DMatrix::from_row_slice(2, 2, &[0.3, 0.1, -0.2, 2.0]);
    let units = DMatrix::from_diagonal(&nalgebra::DVector::from_column_slice(
        case.splits.standardization.given.scale(),
    ));
    let gain = b * units.try_inverse().expect("scales");
    let undone = gain.tr_mul(&(weight * &gain));
    assert!((undone - DMatrix::identity(2, 2)).amax() < 1e-6);
}

#[test]
fn an_action_after_which_nothing_moved_is_excluded_near_that_state() {
    let controls = Planar::default().action();
    let mut memory = Memory::default();
    let (before, expected) = ([1.0, 1.0], [2.0, 1.0]);
    let mut remember = |now: [f64; 2], action: [f64; 2]| {
        memory.remember(&controls, [&before, &expected, &now], action.to_vec());
        memory.refused_at(&before)
    };
    assert_eq!(remember([1.04, 1.0], [3.0, 0.0]), [[3.0, 0.0]]);
    // The state moved; what is hardly an action.
    assert_eq!(remember([1.1, 1.0], [3.0, 3.0]).len(), 1);
    assert_eq!(remember([1.0, 1.0], [0.5, 0.5]).len(), 1);
    assert_eq!(remember([1.0, 1.03], [0.0, -3.0]), [[3.0, 0.0], [0.0, -3.0]]);
    // Within half of the predicted distance of 1.
    assert_eq!(memory.refused_at(&[1.3, 1.3]).len(), 2);
    assert!(memory.refused_at(&[1.6, 1.0]).is_empty());

    let case = case(
        "environment = 'planar'\ntrain = 60\ntest = 20",
        "states = 2\ntransition = { kind = 'linear' }\nemission = { kind = 'linear' }",
        "kind = 'amortised'\nhidden = [4]",
        DType::F64,
    );
    let agent = case.agent(1, true);
    let columns = case.splits.train.observed.columns();
    let goal = Goal {
        state: vec![0.0; 2],
        seen: agent
            .encoder
            .sequence(&vec![0.0; columns], columns, &[0.0; 2])
            .expect("a sequence"),
        weight: DMatrix::identity(2, 2),
    };
    let costs = |refused: &[Vec<Vec<f64>>]| {
        let latent = Latent {
            transitions: &agent.transitions,
            controls: &agent.controls,
            cost: Cost::Euclidean,
            states: &[vec![1.0, 2.0]],
            goals: std::slice::from_ref(&goal),
            refused,
        };
        use crate::control::planner::Dynamics;
        let actions = [[3.0, 0.0, 0.0, 0.0], [2.9, 0.1, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0]];
        latent.costs(&actions.concat(), 2).expect("costs")
    };
    assert!(costs(&[vec![]]).iter().all(|cost| cost.is_finite()));
    let finite: Vec<bool> = costs(&[vec![vec![3.0, 0.0]]])
        .iter()
        .map(|cost| cost.is_finite())
        .collect();
    assert_eq!(finite, [false, false, true]);
}

/// A model that knows planar: x' = x + u, and an encoder that is the ridge regression of the position on the image.
fn informed() -> Case {
    let data = "environment = 'planar'\ntrain = 1500\ntest = 20";
    let model = "states = 2\ntransition = { kind = 'linear', matrix = { fixed = [[1, 0], [0, 1]] }, \
                 input = { fixed = [[1, 0], [0, 1]] }, offset = { fixed = [0, 0] } }\n\
                 emission = { kind = 'linear' }";
    let mut case = case(
        data,
        model,
        "kind = 'amortised'\nfamily = 'single_step'\nhidden = []",
        DType::F64,
    );
    let train = &case.splits.train;
    let (rows, columns) = (train.observed.rows(), train.observed.columns());
    let agent = case.agent(1, false);
    // Images as the network sees them.
    let images = agent
        .encoder
        .sequence(
            &train.observed.iter().collect::<Vec<f64>>(),
            columns,
            &vec![0.0; 2 * rows],
        )
        .expect("a sequence");
    let images: Vec<f64> = images
        .features()
        .flatten_all()
        .and_then(|v| v.to_vec1())
        .expect("numbers");
    let x = DMatrix::from_row_slice(rows, columns, &images);
    let states: Vec<f64> = train.states.as_ref().expect("states").iter().collect();
    let y = DMatrix::from_row_slice(rows, 2, &states);
    let means = y.row_mean();
    let y = DMatrix::from_fn(rows, 2, |i, j| y[(i, j)] - means[j]);
    let gram = &x * x.transpose();
    let ridge = 0.002 * gram.trace() / rows as f64;
    let factor = (gram + ridge * DMatrix::identity(rows, rows))
        .cholesky()
        .expect("a positive matrix");
    let weight = x.transpose() * factor.solve(&y); // [O, 2]
    let outputs = DMatrix::from_fn(columns, 4, |i, j| if j < 2 { weight[(i, j)] } else { 0.0 });
    let outputs: Vec<f64> = outputs.transpose().as_slice().to_vec();
    let tensor = |values: Vec<f64>, shape: &[usize]| Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor");
    let mut theta = Parameters::new();
    for (name, own) in case.theta.iter() {
        let value = match name {
            "posterior.head.0.weight" => tensor(outputs.clone(), &[columns, 4]),
            "posterior.head.0.bias" => tensor(vec![means[0], means[1], -5.0, -5.0], &[4]),
            "posterior.log_scale" => tensor(vec![0.0; 2], &[1, 2]),
            _ => own.as_tensor().clone(),
        };
        theta.insert(name, &value).expect("a parameter");
    }
    case.theta = theta.constant();
    case
}

/// With the true transition and a linear encoder of 1,500 images, the agent reaches goals: it is in them for 41 percent of the
/// steps, and for 23 where it forgets refused actions; random actions are for 0. Every episode acts as if it were alone.
#[test]
fn a_linear_encoder_reaches_goals() {
    let case = informed();
    let returns = |count, remembers_refused| -> Vec<f64> {
        let agent = case.agent(1, remembers_refused);
        let episodes = roll_out(&Planar::default(), &agent, count, &Streams::new(2)).expect("episodes");
        episodes.iter().map(|episode| episode.total_reward).collect()
    };
    let share = |returns: &[f64]| returns.iter().sum::<f64>() / 10.0 / 40.0;
    let (ten, without) = (returns(10, true), returns(10, false));
    assert!(
        share(&ten) > 0.3 && share(&ten) > share(&without) + 0.05,
        "{ten:?} {without:?}"
    );
    assert_eq!(returns(3, true), ten[..3]);
}
