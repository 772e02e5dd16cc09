"""Steps the episodes of a Gymnasium environment for latent-lab.

latent-lab holds this file and runs it as `python -c SCRIPT SETTINGS`, with JSON settings: `id` and `arguments` of
gymnasium.make, and `episode_length` or null. The worker writes a line of JSON that describes the environment, or
{"fault": ..., "text": ...}. Then it answers requests until its input ends. All numbers are little-endian.

request                                                          answer, for each episode
R  u32 episodes, and for each its u32 number and a u32 seed      observation, O f64
S  u32 episodes, and for each its u32 number and A f64 (action)  observation, O f64; reward, f64; ends, u8
Q  u32 number of an episode                                      u32 n and n f64: env.unwrapped.state, n = 0 without one

Each answer follows a byte 0. In place of it, a byte 1, a u32 and so many bytes of text say why the environment failed, and
the worker ends. `ends` is 1 for a terminated and 2 for a truncated episode.
"""

import json
import os
import random
import signal
import struct
import sys
import time
import traceback


def describe(settings):
    """The maker of environments, and the description; or no maker, and the fault."""
    try:
        import gymnasium
        import numpy
    except ImportError as error:
        return None, {"fault": "import", "text": str(error)}
    options = dict(settings["arguments"])
    if settings["episode_length"] is not None:
        options["max_episode_steps"] = settings["episode_length"]

    def make():
        return gymnasium.make(settings["id"], disable_env_checker=True, **options)

    try:
        env = make()
    except Exception as error:
        return None, {"fault": "make", "text": words(error)}
    observation, action = env.observation_space, env.action_space
    box, discrete = gymnasium.spaces.Box, gymnasium.spaces.Discrete
    if not isinstance(observation, box):
        return None, {"fault": "observation", "text": str(observation)}
    if isinstance(action, discrete):
        first, count = int(action.start), int(action.n)
        actions = {"discrete": True, "low": [float(first)], "high": [float(first + count - 1)]}
    elif isinstance(action, box) and len(action.shape) == 1 and action.dtype.kind == "f":
        low, high = [float(v) for v in action.low], [float(v) for v in action.high]
        # JSON has no infinity, and nothing uniform lies between such bounds.
        if not all(abs(v) < 1e300 for v in low + high):
            return None, {"fault": "unbounded", "text": str(action)}
        actions = {"discrete": False, "low": low, "high": high}
    else:
        return None, {"fault": "action", "text": str(action)}
    size = 1
    for length in observation.shape:
        size *= int(length)
    horizon = (env.spec.max_episode_steps if env.spec else None) or None
    versions = {
        "python": sys.version.split()[0],
        "gymnasium": gymnasium.__version__,
        "numpy": numpy.__version__,
    }
    return make, {"observation": size, "action": actions, "horizon": horizon, "software": versions}


def words(error):
    """The error in one line."""
    return " ".join("".join(traceback.format_exception_only(type(error), error)).split())


def reason(error):
    """The error in one line, with the innermost line of code that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})" if frames else ""
    return words(error) + place


class Worker:
    """The running episodes: one instance of the environment for each."""

    def __init__(self, make, description, requests, answers):
        import numpy

        self.numpy, self.make, self.envs = numpy, make, []
        self.size, self.actions = description["observation"], description["action"]
        self.requests, self.answers, self.flushed = requests, answers, time.monotonic()

    def read(self, form):
        """Numbers of this form; the worker ends with its input."""
        form = "<" + form
        data = self.requests.read(struct.calcsize(form))
        if len(data) < struct.calcsize(form):
            raise SystemExit(0)
        return struct.unpack(form, data)

    def rows(self, form):
        """The numbers of each episode of a request."""
        (count,) = self.read("I")
        return [self.read(form) for _ in range(count)]

    def serve(self):
        """Answers requests until the input ends."""
        handlers = {b"R": self.reset, b"S": self.step, b"Q": self.state}
        while True:
            self.answers.flush()
            (kind,) = self.read("c")
            handlers[kind]()

    def answer(self, work):
        """Writes what `work` gives, or why it failed. A long wait is never for an answer that is there already."""
        try:
            data = b"\0" + work()
        except Exception as error:
            text = reason(error).encode()
            self.answers.write(b"\1" + struct.pack("<I", len(text)) + text)
            self.answers.flush()
            raise SystemExit(0)
        self.answers.write(data)
        if time.monotonic() - self.flushed > 0.1:
            self.answers.flush()
            self.flushed = time.monotonic()

    def observed(self, observation):
        numbers = self.numpy.asarray(observation, dtype="<f8").ravel()
        if len(numbers) != self.size:
            raise ValueError(f"an observation of {len(numbers)} numbers, and the observation space has {self.size}")
        return numbers.tobytes()

    def reset(self):
        for number, seed in self.rows("II"):
            self.answer(lambda: self.reset_one(number, seed))

    def reset_one(self, number, seed):
        if number == len(self.envs):
            self.envs.append(self.make())
        # For environments that draw from these in place of their own generator.
        random.seed(seed)
        self.numpy.random.seed(seed)
        observation, _ = self.envs[number].reset(seed=seed)
        return self.observed(observation)

    def step(self):
        for number, *action in self.rows(f"I{len(self.actions['low'])}d"):
            self.answer(lambda: self.step_one(self.envs[number], action))

    def step_one(self, env, action):
        if self.actions["discrete"]:
            action = int(action[0])
        else:
            action = self.numpy.asarray(action, dtype=env.action_space.dtype)
        observation, reward, terminated, truncated, _ = env.step(action)
        ends = 1 if terminated else 2 if truncated else 0
        return self.observed(observation) + struct.pack("<dB", float(reward), ends)

    def state(self):
        (number,) = self.read("I")
        self.answer(lambda: self.state_of(self.envs[number].unwrapped))

    def state_of(self, env):
        state = getattr(env, "state", None)
        numbers = [] if state is None else self.numpy.asarray(state, dtype="<f8").ravel()
        return struct.pack(f"<I{len(numbers)}d", len(numbers), *numbers)


def main():
    # Ctrl-C is for latent-lab, which ends its runs and with them this input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # What an environment prints must not come between the numbers.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    make, description = describe(json.loads(sys.argv[1]))
    answers.write(json.dumps(description).encode() + b"\n")
    answers.flush()
    if make is not None:
        Worker(make, description, requests, answers).serve()


if __name__ == "__main__":
    main()
