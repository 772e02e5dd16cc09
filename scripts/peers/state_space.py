"""One expectation step of a linear-Gaussian state space: filter, smoother and moments of all sequences, in f64.

dynamax is timed in the better of two arrangements, both compiled as one program: all sequences side by side (`vmap`), or
one after the other (`lax.map`). Log-likelihoods of every sequence and the moments that learning needs must agree.
"""

import numpy as np

from .measure import Comparison, peer, rounds

# States, outputs, steps, sequences.
SIZES = [(4, 2, 200, 16), (4, 2, 1000, 8), (8, 4, 200, 32), (2, 1, 5000, 1)]
TARGET = 1 / 20
# Expectation steps of a timed run: a quarter of a second or more, so that threads have found their cores.
OURS, THEIRS = 2000, 100
# dynamax adds 1e-9 to the diagonal of every covariance that it inverts; the moments show it more than the likelihood.
LIKELIHOOD_TOLERANCE, MOMENT_TOLERANCE = 1e-8, 1e-6


def write(folder, states, outputs, steps, count):
    """A system that forgets at 0.9 per step, and sequences drawn from it."""
    rng = np.random.default_rng(0)
    system = {
        "initial_mean": np.zeros(states),
        "initial_covariance": np.eye(states),
        "transition": 0.9 * np.eye(states) + 0.05 * (1 - np.eye(states)) * rng.standard_normal((states, states)),
        "transition_noise": 0.1 * np.eye(states),
        "emission": rng.standard_normal((outputs, states)),
        "emission_noise": 0.5 * np.eye(outputs),
    }
    x = rng.standard_normal((count, states))
    observed = np.empty((count, steps, outputs))
    for t in range(steps):
        observed[:, t] = x @ system["emission"].T + 0.5**0.5 * rng.standard_normal((count, outputs))
        x = x @ system["transition"].T + 0.1**0.5 * rng.standard_normal((count, states))
    path = folder / f"state-space-{states}-{outputs}-{steps}-{count}.npz"
    np.savez(path, observed=observed, **system)
    return path


def measure(ours, folder, quick):
    dynamax = peer("dynamax")
    for states, outputs, steps, count in SIZES:
        file = str(write(folder, states, outputs, steps, count))
        few = 2 if quick else THEIRS
        ways = {"side by side": True, "one after the other": False}
        trials = {
            name: dynamax.ask("expectation", file=file, repeats=2, side_by_side=way)["seconds"]
            for name, way in ways.items()
            for _ in range(2)  # of the second call
        }
        arrangement = min(trials, key=trials.get)
        their_name = f"dynamax, {arrangement}"
        contestants = {
            "latent-lab": lambda: ours.ask("expectation", file=file, repeats=OURS, threads=2),
            their_name: lambda: dynamax.ask("expectation", file=file, repeats=few, side_by_side=ways[arrangement]),
        }
        results = rounds(contestants, 2 if quick else 7)
        repeats = {"latent-lab": OURS, their_name: few}
        a, b = (answers[0] for answers in results.values())
        yield Comparison(
            "Linear-Gaussian state space: one expectation step, per time step of a sequence",
            f"state {states}, observed {outputs}, {steps:,} steps, {count} sequence{'s' if count > 1 else ''}",
            "ns",
            {
                name: [1e9 * answer["seconds"] / (repeats[name] * steps * count) for answer in answers]
                for name, answers in results.items()
            },
            "latent-lab",
            {their_name: TARGET},
            {
                "log-likelihoods, relative": (gap(a, b, "log_likelihoods"), LIKELIHOOD_TOLERANCE),
                "moments, relative": (gap(a, b, "moments"), MOMENT_TOLERANCE),
            },
        )
    dynamax.stop()


def gap(ours, theirs, key):
    """The largest difference of two tables, relative to what is largest in them for moments and entry by entry else."""
    a, b = np.array(ours[key]), np.array(theirs[key])
    scale = np.abs(b).max() if key == "moments" else np.abs(b)
    return float((np.abs(a - b) / scale).max())
