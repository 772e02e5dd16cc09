//! Planning by a reward of known optimum, and acting without images.

use super::*;

/// A model of pendulum_v1's columns whose state moves by the action, x' = x + u, and whose reward is, but for rounding, quadratic:
/// z tanh(z/2) = silu(z) + silu(−z) ≈ z²/2, of z = 0.02 (x − 1) and of z = 0.02 u. In units of the standardised
/// reward, r = −(x − 1)² − u²/2.
fn quadratic() -> Case {
    let data = "environment = 'pendulum_v1'\ntrain = 60\ntest = 20\nlength = 20\nreward = true\nstandardize = true";
    let model = "states = 1\ntransition = { kind = 'linear', matrix = { fixed = [[1]] }, input = { fixed = [[1]] }, offset = { fixed \
                 = [0] } }\nemission = { kind = 'linear' }\nreward = { hidden = [4], activation = 'silu' }";
    let mut case = case(
        data,
        model,
        "kind = 'amortised'\nfamily = 'single_step'\nhidden = [4]",
        DType::F64,
    );
    let tensor = |values: &[f64], shape: &[usize]| Tensor::from_slice(values, shape, &Device::Cpu).expect("a tensor");
    let mut theta = Parameters::new();
    for (name, own) in case.theta.iter() {
        let value = match name {
            "reward.0.weight" => tensor(&[0.02, -0.02, 0.0, 0.0, 0.0, 0.0, 0.02, -0.02], &[2, 4]),
            "reward.0.bias" => tensor(&[-0.02, 0.02, 0.0, 0.0], &[4]),
            "reward.1.weight" => tensor(&[-5000.0, -5000.0, -2500.0, -2500.0], &[4, 1]),
            "reward.1.bias" => tensor(&[0.0], &[1]),
            _ => own.as_tensor().clone(),
        };
        theta.insert(name, &value).expect("a parameter");
    }
    case.theta = theta.constant();
    case
}

/// In units of the data, in which x' = x + u, the least Σ_h (x_h − 1)² + u_h²/2 over two steps from x_1 is at
/// u_1 = (1 − x_1)/(1 + 1/2), u_2 = 0, and in units of the environment u is multiplied by the deviation of actions.
#[test]
fn plans_by_the_reward_are_the_known_optimum() {
    let case = quadratic();
    let units = &case.splits.standardization;
    let (shift, scale) = (units.given.shift()[0], units.given.scale()[0]);
    let controls = latent_lab_envs::PendulumV1::default().action();
    let encoder = Encoder {
        model: case.model.as_ref(),
        theta: case.theta.clone(),
        posterior: &case.posterior,
        steps: 0,
        standardization: units,
    };
    let agent = |planner| {
        LatentAgent::new(encoder.clone(), 4, controls.clone(), planner, (Cost::Reward, 1, false)).expect("an agent")
    };
    let start = 0.4;
    let planners = [
        "kind = 'cem'\nhorizon = 2\ncandidates = 300\nrounds = 12\naction = 'mean'",
        "kind = 'mppi'\nhorizon = 2\ncandidates = 300\nrounds = 60\ntemperature = 0.003\nnoise = 0.05",
    ];
    for planner in planners {
        let agent = agent(toml::from_str(planner).expect("a planner"));
        let latent = Latent {
            transitions: &agent.transitions,
            controls: &controls,
            cost: Cost::Reward,
            states: &[vec![start]],
            goals: &[],
            refused: &[vec![]],
        };
        let mut plans = Plans::new(&agent.planner, &controls, 1, &Streams::new(0));
        let action = plans.act(&latent).expect("an action")[0];
        let expected = shift + scale * (1.0 - start) / 1.5;
        assert!((action - expected).abs() < 0.02, "{planner}: {action} {expected}");
        // The cost in the reward's own units, of any actions. The reward is standardised by the data, and then by the model.
        let moments = case.splits.train.moments(&case.splits.train.observed)[3].expect("rewards");
        let (unit, zero) = (units.observed.scale()[3], units.observed.shift()[3]);
        let reward = |x: f64, u: f64| {
            let r = -((x - 1.0).powi(2) + 0.5 * u * u);
            zero + unit * (moments.0 + moments.1.sqrt() * r)
        };
        let (a, b) = (0.7, -0.3); // In units of the data.
        use crate::control::planner::Dynamics;
        let cost = latent.costs(&[shift + scale * a, shift + scale * b], 2).expect("costs")[0];
        let expected = -reward(start, a) - reward(start + a, b);
        assert!((cost / expected - 1.0).abs() < 1e-3, "{cost} {expected}");
        assert!(latent.smooth().is_none());
    }
}

/// Where the data have rewards, a row is completed by the reward of its action one step later, and the present one is missing.
#[test]
fn rewards_are_known_one_step_late() {
    let mut memory = Memory::default();
    let first = memory.completed(3, vec![1.0, 2.0], 0.0);
    assert!(first[..2] == [1.0, 2.0] && first[2].is_nan());
    memory.observations.push_back(first);
    assert!(memory.completed(3, vec![3.0, 4.0], -5.0)[2].is_nan());
    assert_eq!(memory.observations[0], [1.0, 2.0, -5.0]);
    // Images are whole without it.
    assert_eq!(memory.completed(2, vec![5.0, 6.0], -7.0), [5.0, 6.0]);
}

/// An agent that plans by the reward acts without images; its noise changes the actions, which stay between their bounds.
#[test]
fn rewards_are_planned_by_without_images_and_with_noise() {
    let case = quadratic();
    let environment = latent_lab_envs::PendulumV1::default();
    let encoder = Encoder {
        model: case.model.as_ref(),
        theta: case.theta.clone(),
        posterior: &case.posterior,
        steps: 0,
        standardization: &case.splits.standardization,
    };
    let planner: Planner =
        toml::from_str("kind = 'cem'\nhorizon = 2\ncandidates = 5\nelites = 2\nrounds = 1").expect("keys");
    let played = |noise: f64| {
        let settings = (Cost::Reward, 3, false);
        let agent = LatentAgent::new(encoder.clone(), 4, environment.action(), planner.clone(), settings);
        let agent = agent.expect("an agent").with_noise(noise);
        let mut acting = agent.begin(2, &Streams::new(1));
        let mut starts = crate::control::starts(2, &Streams::new(1));
        let mut starts: Vec<&mut dyn rand::Rng> = starts.iter_mut().map(|rng| rng as &mut dyn rand::Rng).collect();
        let mut episodes = latent_lab_envs::Task::begin(&environment, &mut starts).expect("episodes");
        let mut all = Vec::new();
        for _ in 0..5 {
            let actions = acting.act(&*episodes).expect("actions");
            episodes.step(&actions).expect("a step");
            all.extend(actions);
        }
        all
    };
    let (still, noisy) = (played(0.0), played(0.5));
    assert_eq!(still, played(0.0));
    assert_eq!((still.len(), noisy.len()), (10, 10));
    let changed = noisy.iter().zip(&still).filter(|(a, b)| a != b).count();
    assert!(
        changed >= 3 && noisy.iter().all(|a| a.abs() <= 2.0),
        "{noisy:?} {still:?}"
    );
}
