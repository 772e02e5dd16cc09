#!/usr/bin/env python3
"""Checks the ports of Gymnasium environments in envs/ against Gymnasium, transition for transition.

For each environment, 1,000 episodes of random actions and 50 of a simple controller (so that time limits, and the goal
of the mountain car, are reached too) are played in Gymnasium. Every state and action is then given to the port, and
next state, observation, reward, terminated and truncated are compared: numbers to 1e-6, flags exactly. Exits with 1 if
anything differs.

    python3 -m venv .venv && .venv/bin/pip install gymnasium==1.4.0
    .venv/bin/python scripts/check_gymnasium.py [--episodes 1000] [--seed 0]
"""

import argparse
import pathlib
import subprocess
import sys

import gymnasium
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOLERANCE = 1e-6

# Environment and the action of its controller, given the observation.
CONTROLLERS = {
    "CartPole-v1": lambda o: int(o[2] + o[3] > 0),
    "Pendulum-v1": lambda o: np.array([2 * np.sign(o[2]) if o[0] < 0.8 else -8 * o[1] - 2 * o[2]], np.float32).clip(-2, 2),
    "MountainCarContinuous-v0": lambda o: np.array([1.0 if o[1] >= 0 else -1.0], np.float32),
}


def play(name, controller, episodes, seed):
    """Rows (state, steps taken, action) and (next state, observation, reward, terminated, truncated), and mean return."""
    env = gymnasium.make(name)
    env.action_space.seed(seed)
    before, after, returns = [], [], []
    for episode in range(episodes):
        observation, _ = env.reset(seed=seed + episode)
        if name == "MountainCarContinuous-v0":
            # Its first state is in f64 and all later ones are in f32, as the port's are throughout.
            env.unwrapped.state = env.unwrapped.state.astype(np.float32)
        over, steps, total = False, 0, 0.0
        while not over:
            action = controller(observation) if controller else env.action_space.sample()
            before.append([*env.unwrapped.state, steps, float(np.ravel(action)[0])])
            observation, reward, terminated, truncated, _ = env.step(action)
            # Gymnasium may report both; the ports set `truncated` only if the task goes on.
            after.append([*env.unwrapped.state, *observation, reward, terminated, truncated and not terminated])
            over, steps, total = terminated or truncated, steps + 1, total + reward
        returns.append(total)
    return np.array(before, np.float64), np.array(after, np.float64), float(np.mean(returns))


def twin(name, before):
    """The port's rows for the same states and actions."""
    command = ["cargo", "run", "--release", "--quiet", "-p", "latent-lab-envs", "--example", "transitions", "--", name]
    out = subprocess.run(command, cwd=ROOT, input=before.tobytes(), stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(out, np.float64).reshape(len(before), -1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=1000, help="random episodes of each environment")
    parser.add_argument("--seed", type=int, default=0, help="of the first episode; the others count on from it")
    arguments = parser.parse_args()
    print(f"Gymnasium {gymnasium.__version__}, numpy {np.__version__}")
    print(f"{'environment':26}{'actions':12}{'episodes':>9}{'transitions':>13}{'mean return':>13}{'largest gap':>13}{'ends':>7}")
    good = True
    for name, controller in CONTROLLERS.items():
        for actions, policy, episodes in [("random", None, arguments.episodes), ("controlled", controller, 50)]:
            before, after, mean = play(name, policy, episodes, arguments.seed)
            ours = twin(name, before)
            gap = np.abs(ours[:, :-2] - after[:, :-2]).max()
            flags = np.array_equal(ours[:, -2:], after[:, -2:])
            good &= bool(gap <= TOLERANCE) and flags
            ends = "agree" if flags else "DIFFER"
            print(f"{name:26}{actions:12}{episodes:9}{len(before):13}{mean:13.2f}{gap:13.1e}{ends:>7}", flush=True)
    print("all transitions agree" if good else f"transitions differ by more than {TOLERANCE}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
