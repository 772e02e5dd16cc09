//! Every environment keeps the promises of the trait; a new one is tested by its line in `every_environment`.

use latent_lab_envs::{
    CartPoleV1, Environment, MountainCarContinuousV0, PendulumV1, Tree,
    tree::{Action, Outcome},
};
use rand::RngExt;
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
            .action_bounds()
            .iter()
            .map(|&(low, high)| rng.random_range(low..=high))
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
        assert_eq!(environment.action_bounds().len(), environment.action_size(), "{name}");
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
        let error = (variance / f64::from(n)).sqrt();
        let yardsticks = environment.yardsticks();
        let random = yardsticks
            .iter()
            .find(|y| y.name == "random")
            .expect("a random yardstick");
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
        let (low, high) = environment.action_bounds()[0];
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
