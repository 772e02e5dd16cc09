"""Steps of Gymnasium's environments under random actions drawn beforehand: step, observation, and reset at an end."""

import time

import gymnasium
import numpy as np

ACTIONS = 1 << 12  # drawn once and then repeated


def single(name, actions, steps):
    env = gymnasium.make(name)
    start = time.perf_counter()
    env.reset(seed=0)
    for t in range(steps):
        _, _, terminated, truncated, _ = env.step(actions[t % ACTIONS])
        if terminated or truncated:
            env.reset()
    return {"seconds": time.perf_counter() - start}


def cart_pole(steps):
    return single("CartPole-v1", np.random.default_rng(0).integers(0, 2, ACTIONS).tolist(), steps)


def pendulum(steps):
    return single("Pendulum-v1", list(np.random.default_rng(0).uniform(-2, 2, (ACTIONS, 1)).astype(np.float32)), steps)


def cart_pole_batch(steps, count):
    """NumPy's own vectorised form, not many environments in a loop. It resets by itself."""
    env = gymnasium.make_vec("CartPole-v1", num_envs=count, vectorization_mode="vector_entry_point")
    actions = list(np.random.default_rng(0).integers(0, 2, (ACTIONS, count)))
    start = time.perf_counter()
    env.reset(seed=0)
    for t in range(steps):
        env.step(actions[t % ACTIONS])
    return {"seconds": time.perf_counter() - start}


def single_gap(env, transitions, act, set_state, get_state):
    """The largest difference between transitions of ours and Gymnasium's."""
    gap = 0.0
    env.reset(seed=0)
    for before, action, after, reward, over in transitions:
        set_state(env, before)
        _, own_reward, terminated, truncated, _ = env.step(act(action))
        gap = max(gap, np.abs(np.array(get_state(env)) - after).max(), abs(own_reward - reward))
        if (terminated or truncated) != over:
            return {"gap": float("inf")}
    return {"gap": float(gap)}


def cart_pole_transitions(transitions):
    def set_state(env, state):
        env.state, env.steps_beyond_terminated = np.array(state), None

    env = gymnasium.make("CartPole-v1").unwrapped
    return single_gap(env, transitions, int, set_state, lambda env: env.state)


def pendulum_transitions(transitions):
    def set_state(env, state):
        env.state = np.array(state)

    env = gymnasium.make("Pendulum-v1").unwrapped
    return single_gap(env, transitions, lambda a: np.array([a], np.float32), set_state, lambda env: env.state)


def cart_pole_batch_transitions(transitions):
    count, gap = len(transitions[0][1]), 0.0
    env = gymnasium.make_vec("CartPole-v1", num_envs=count, vectorization_mode="vector_entry_point").unwrapped
    for before, right, after, rewards, over in transitions:
        env.reset(seed=0)
        env.state = np.array(before)
        _, own_rewards, terminated, truncated, _ = env.step(np.array(right, np.int64))
        gap = max(gap, np.abs(env.state - after).max(), np.abs(own_rewards - rewards).max())
        if not np.array_equal(terminated | truncated, over):
            return {"gap": float("inf")}
    return {"gap": float(gap)}


JOBS = {
    job.__name__: job
    for job in (
        cart_pole,
        pendulum,
        cart_pole_batch,
        cart_pole_transitions,
        pendulum_transitions,
        cart_pole_batch_transitions,
    )
}
