//! Every environment keeps the promises of the trait; a new one is tested by its line in `every_environment`.

use latent_lab_envs::{
    Batch, CartPoleV1, Cartpole, Control, Environment, Episode, Episodes, MountainCarContinuousV0, Observations,
    Pendulum, Pendulum16, PendulumTask, PendulumV1, Planar, Reference, Step, Task, Tree, Yardsticks,
    tree::{Action, Outcome},
};
use rand::{Rng, RngExt};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// Calls `$check::<E>(name, environment)` for all of them.
macro_rules! every_environment {
    ($check:ident) => {
        $check("tree", &Tree::default());
        $check(
            "tree by turn rates",
            &Tree {
                control_interval: 0.1,
                action: Action::TurnRate,
                ..Tree::default()
            },
        );
        $check("CartPole-v1", &CartPoleV1::default());
        $check("Pendulum-v1", &PendulumV1::default());
        $check("MountainCarContinuous-v0", &MountainCarContinuousV0::default());
        $check("planar", &Planar::default());
        for task in [
            PendulumTask::Balance,
            PendulumTask::SwingUp,
            PendulumTask::Underactuated,
        ] {
            $check(&format!("pendulum {task:?}"), &Pendulum { task });
        }
        $check("cartpole", &Cartpole::default());
        $check("pendulum_16", &Pendulum16::default());
    };
}

fn observation<E: Environment>(environment: &E, state: &E::State) -> Vec<f64> {
    let mut into = vec![f64::NAN; environment.observation_size()];
    environment.observe(state, &mut into);
    into
}

/// Plays one episode of uniform actions; returns its return and its length.
fn random_episode<E: Environment>(name: &str, environment: &E, rng: &mut ChaCha8Rng) -> (f64, usize) {
    let mut state = environment.reset(rng);
    let mut total = 0.0;
    for steps in 1..=environment.horizon() {
        let action: Vec<f64> = environment
            .action()
            .iter()
            .map(|control| rng.random_range(control.low..=control.high))
            .collect();
        let step = environment.step(&mut state, &action);
        total += step.reward;
        assert!(step.reward.is_finite(), "{name}: {step:?}");
        assert!(!(step.terminated && step.truncated), "{name}: {step:?} claims both");
        assert!(
            !step.truncated || steps == environment.horizon(),
            "{name}: truncated after {steps}"
        );
        let seen = observation(environment, &state);
        assert!(seen.iter().all(|v| v.is_finite()), "{name}: {seen:?}");
        if step.over() {
            // What is over stays as it is.
            let again = environment.step(&mut state, &action);
            let still = (again.reward, again.terminated, again.truncated);
            assert_eq!(still, (0.0, step.terminated, step.truncated), "{name}");
            assert_eq!(observation(environment, &state), seen, "{name}");
            return (total, steps);
        }
    }
    panic!("{name}: not over after {} steps", environment.horizon());
}

#[test]
fn random_episodes_end_properly() {
    fn check<E: Environment>(name: &str, environment: &E) {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        for _ in 0..100 {
            random_episode(name, environment, &mut rng);
        }
    }
    every_environment!(check);
}

#[test]
fn the_random_yardstick_is_the_mean_random_return() {
    fn check<E: Environment>(name: &str, environment: &E) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let n = 1000;
        let returns: Vec<f64> = (0..n).map(|_| random_episode(name, environment, &mut rng).0).collect();
        let mean = returns.iter().sum::<f64>() / f64::from(n);
        let variance = returns.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / f64::from(n);
        // Rewards that are very rare may be absent from these episodes, and their variance with them.
        let error = (variance / f64::from(n)).sqrt().max(0.003);
        let returns = environment.yardsticks().returns;
        let random = returns.iter().find(|y| y.name == "random").expect("a random yardstick");
        // The yardsticks are written down to three digits or more.
        assert!(
            (mean - random.value).abs() < 6.0 * error + 0.002 * random.value.abs(),
            "{name}: {mean} ± {error}, stated {}",
            random.value
        );
    }
    every_environment!(check);
}

#[test]
fn actions_out_of_range_are_clamped_and_nan_fails() {
    fn check<E: Environment>(name: &str, environment: &E) {
        let start = environment.reset(&mut ChaCha8Rng::seed_from_u64(2));
        let after = |action: f64| {
            let mut state = start.clone();
            let step = environment.step(&mut state, &vec![action; environment.action_size()]);
            (step, observation(environment, &state))
        };
        let Control { low, high, .. } = environment.action()[0];
        for beyond in [1e300, f64::INFINITY] {
            assert_eq!(after(beyond), after(high), "{name}");
            assert_eq!(after(-beyond), after(low), "{name}");
        }
        let (step, seen) = after(f64::NAN);
        assert!(
            step.terminated && !step.truncated && step.reward <= 0.0,
            "{name}: {step:?}"
        );
        assert!(seen.iter().all(|v| v.is_finite()), "{name}: {seen:?}");
    }
    every_environment!(check);
}

#[test]
fn the_same_seed_plays_the_same_episode() {
    fn check<E: Environment>(name: &str, environment: &E) {
        let play = |seed| random_episode(name, environment, &mut ChaCha8Rng::seed_from_u64(seed));
        assert_eq!(play(3), play(3), "{name}");
    }
    every_environment!(check);
}

#[test]
fn out_of_time_is_the_only_outcome_of_the_tree_that_truncates() {
    let tree = Tree::default();
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for _ in 0..200 {
        let mut state = tree.reset(&mut rng);
        loop {
            let step = tree.step(&mut state, &[rng.random_range(-1.4..1.4)]);
            if step.over() {
                assert_eq!(step.truncated, state.outcome == Some(Outcome::OutOfTime));
                assert_eq!(step.reward, f64::from(u8::from(state.success())));
                break;
            }
        }
    }
}

/// Plays `count` episodes of a task by its expert; none if it has none.
fn expert_episodes(task: &dyn Task, count: usize) -> Option<Vec<Episode>> {
    let mut rngs: Vec<_> = (0..count as u64).map(ChaCha8Rng::seed_from_u64).collect();
    let expert = task.scripted()?;
    let mut controllers: Vec<_> = rngs.iter_mut().map(|rng| expert.begin(rng)).collect();
    let mut starts: Vec<&mut dyn Rng> = rngs.iter_mut().map(|rng| rng as &mut dyn Rng).collect();
    let mut episodes = task.begin(&mut starts).expect("episodes");
    while !episodes.over() {
        let Observations::Vectors { values, size } = episodes.observe();
        let rows = values.chunks(size).zip(&mut controllers).zip(&mut rngs);
        let actions: Vec<f64> = rows.flat_map(|((row, controller), rng)| controller(row, rng)).collect();
        episodes.step(&actions).expect("a step");
    }
    Some(episodes.episodes())
}

#[test]
fn the_expert_reaches_its_stated_score() {
    fn check<E: Environment>(name: &str, environment: &E) {
        let n = 500;
        let episodes = expert_episodes(environment, n).expect("an expert");
        let returns: Vec<f64> = episodes.iter().map(|episode| episode.total_reward).collect();
        let mean = returns.iter().sum::<f64>() / n as f64;
        let variance = returns.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / n as f64;
        let error = (variance / n as f64).sqrt();
        let Yardsticks { returns, success_rates } = environment.yardsticks();
        let stated = |references: &[Reference]| {
            let mut found = references
                .iter()
                .filter(|reference| reference.text.contains("the expert"));
            found.next().map(|reference| reference.value)
        };
        let expected = stated(&returns).expect("a return of the expert");
        assert!(
            (mean - expected).abs() <= 5.0 * error + 1e-3 * expected.abs(),
            "{name}: {mean} ± {error}, stated {expected}"
        );
        let successes: Vec<bool> = episodes.iter().filter_map(|episode| episode.success).collect();
        assert_eq!(successes.is_empty(), environment.success_rule().is_none(), "{name}");
        if let Some(rate) = stated(&success_rates) {
            assert_eq!(
                successes.iter().filter(|yes| **yes).count() as f64 / n as f64,
                rate,
                "{name}"
            );
        }
    }
    every_environment!(check);
}

/// A task of closed form: the position is the sum of the actions, the reward is the step's number, reaching 2 is success, and
/// the route is the sign of the first action.
#[derive(Debug)]
struct Counting;

impl Environment for Counting {
    type State = (f64, usize, Option<usize>);

    fn fault(&self) -> Option<String> {
        None
    }
    fn observation(&self) -> Vec<&'static str> {
        vec!["position", "steps"]
    }
    fn action(&self) -> Vec<Control> {
        let (low, high) = (-1.0, 1.0);
        vec![Control {
            name: "move",
            low,
            high,
        }]
    }
    fn horizon(&self) -> usize {
        5
    }
    fn reward_unit(&self) -> &'static str {
        "points"
    }
    fn success_rule(&self) -> Option<&'static str> {
        Some("the position is at least 2")
    }
    fn success(&self, state: &Self::State) -> Option<bool> {
        Some(state.0 >= 2.0)
    }
    fn routes(&self) -> Vec<&'static str> {
        vec!["down", "up"]
    }
    fn route(&self, state: &Self::State) -> Option<usize> {
        state.2
    }
    fn expert(&self) -> Option<&dyn latent_lab_envs::Expert> {
        None
    }
    fn images(&self) -> Option<&dyn latent_lab_envs::Images<State = Self::State>> {
        None
    }
    fn yardsticks(&self) -> Yardsticks {
        Yardsticks::default()
    }
    fn reset(&self, rng: &mut dyn Rng) -> Self::State {
        (rng.random_range(0.0..0.1), 0, None)
    }
    fn observe(&self, state: &Self::State, into: &mut [f64]) {
        into.copy_from_slice(&[state.0, state.1 as f64]);
    }
    fn step(&self, state: &mut Self::State, action: &[f64]) -> Step {
        let before = state.0 >= 2.0 || state.1 >= self.horizon();
        if !before {
            state.0 += action[0].clamp(-1.0, 1.0);
            state.1 += 1;
            state.2 = state.2.or(Some(usize::from(action[0] > 0.0)));
        }
        let terminated = state.0 >= 2.0;
        Step {
            reward: if before { 0.0 } else { state.1 as f64 },
            terminated,
            truncated: !terminated && state.1 >= self.horizon(),
        }
    }
}

#[test]
fn a_batch_sums_rewards_and_keeps_truncated_apart_from_success() {
    let mut rngs: Vec<_> = (0..3).map(ChaCha8Rng::seed_from_u64).collect();
    let mut starts: Vec<&mut dyn Rng> = rngs.iter_mut().map(|rng| rng as &mut dyn Rng).collect();
    let mut batch = Batch::new(&Counting, &mut starts);
    let untouched = Episode {
        success: Some(false),
        ..Episode::default()
    };
    assert_eq!(batch.episodes(), [untouched; 3]);
    // The first reaches 2 after two steps; the others are out of time after five.
    for step in 1..=7 {
        assert_eq!(batch.over(), step > 5);
        batch
            .step(&[1.0, if step < 5 { -0.1 } else { 1.0 }, -1.0])
            .expect("a step");
    }
    let episode = |total_reward, length, terminated, route| Episode {
        total_reward,
        // The reward of a step is its number.
        reward: f64::from(length as u32),
        length,
        terminated,
        truncated: !terminated,
        success: Some(terminated),
        route: Some(route),
    };
    assert_eq!(
        batch.episodes(),
        [
            episode(3.0, 2, true, 1),
            episode(15.0, 5, false, 0),
            episode(15.0, 5, false, 0)
        ]
    );
    let Observations::Vectors { values, size } = batch.observe();
    assert_eq!((values.len(), size, values[1], values[3]), (6, 2, 2.0, 5.0));
}

/// The sum of the costs of steps taken one by one, whatever the other sequences; the episodes stay as they were.
#[test]
fn simulated_costs_are_those_of_single_steps() {
    fn check<E: Environment>(name: &str, environment: &E) {
        let mut rngs: Vec<_> = (0..3).map(ChaCha8Rng::seed_from_u64).collect();
        let mut starts: Vec<&mut dyn Rng> = rngs.iter_mut().map(|rng| rng as &mut dyn Rng).collect();
        let batch = Batch::new(environment, &mut starts);
        let (steps, sequences) = (5, 4);
        let controls = environment.action();
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let draws = (0..3 * sequences * steps).flat_map(|_| &controls);
        let actions: Vec<f64> = draws.map(|own| rng.random_range(own.low..=own.high)).collect();
        let seen = batch.observe();
        let costs = batch.simulate(&actions, steps).expect("states can be copied");
        assert_eq!(costs.len(), 3 * sequences, "{name}");
        assert_eq!(batch.observe(), seen, "{name}");
        for (at, sequence) in actions.chunks_exact(steps * controls.len()).enumerate() {
            let mut state = environment.reset(&mut ChaCha8Rng::seed_from_u64((at / sequences) as u64));
            let mut cost = 0.0;
            for action in sequence.chunks_exact(controls.len()) {
                let step = environment.step(&mut state, action);
                cost += environment.planning_cost(&state, step);
            }
            assert_eq!(costs[at], cost, "{name} {at}");
        }
    }
    every_environment!(check);
}
