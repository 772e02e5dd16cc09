"""Training of a neural state space with a smoothing posterior (Krishnan, Shalit & Sontag 2017), eight seeds.

Eight states, a residual transition of 32 hidden units, a linear emission of eight columns; q is a chain given a recurrent
network of the future. Everyone gets the same sequences, initial parameters and batches. In a timed run everyone draws noise
by their own generator; in a short run before, the peer is given the library's, and the losses must agree.
"""

import numpy as np

from .measure import Comparison, latent_lab, peer, rounds
from .network import SEEDS

SEQUENCES, COLUMNS, STATES, HIDDEN, BATCH = 512, 8, 8, 32, 64
LENGTHS = {25: 200, 100: 60}  # steps of a sequence: training steps of a timed run
CHECKED_STEPS, TOLERANCE = 20, 1e-4  # relative: the losses are thousands of nats, in single precision
TARGET = 0.5  # of JAX
MEMORY_STEPS = (200, 2000)


def shapes():
    """The parameters by name: their shapes, without the seeds."""
    gates, seen = 3 * HIDDEN, HIDDEN + COLUMNS + STATES
    return {
        "initial.mean": (1, STATES),
        "initial.raw": (1, STATES),
        "transition.raw": (1, STATES),
        "transition.0.weight": (STATES, HIDDEN),
        "transition.0.bias": (HIDDEN,),
        "transition.1.weight": (HIDDEN, STATES),
        "transition.1.bias": (STATES,),
        "emission.matrix": (COLUMNS, STATES),
        "emission.offset": (1, COLUMNS),
        "emission.raw": (1, COLUMNS),
        "posterior.future.input.weight": (COLUMNS, gates),
        "posterior.future.input.bias": (gates,),
        "posterior.future.recurrent.weight": (HIDDEN, gates),
        "posterior.future.recurrent.bias": (HIDDEN,),
        "posterior.head.0.weight": (seen, HIDDEN),
        "posterior.head.0.bias": (HIDDEN,),
        "posterior.head.1.weight": (HIDDEN, 2 * STATES),
        "posterior.head.1.bias": (2 * STATES,),
        "posterior.skip.0.weight": (seen, 2 * STATES),
        "posterior.skip.0.bias": (2 * STATES,),
        "posterior.first": (1, STATES),
        "posterior.log_scale": (1, STATES),
    }


def write(folder, length):
    """Noisy sums of slow waves, and initial weights of variance 1/I; all f32."""
    rng = np.random.default_rng(0)
    phases, speeds = rng.uniform(0, 6, (SEQUENCES, 1, 3)), rng.uniform(0.1, 0.5, 3)
    waves = np.sin(phases + speeds * np.arange(length)[:, None])
    observed = waves @ rng.standard_normal((3, COLUMNS)) + 0.3 * rng.standard_normal((SEQUENCES, length, COLUMNS))
    arrays = {"observed": observed}
    small = ("transition.1.weight", "posterior.head.1.weight", "posterior.skip.0.weight")
    for name, shape in shapes().items():
        if name.endswith("weight"):
            scale = (0.1 if name in small else 1.0) / shape[0] ** 0.5
            arrays[name] = scale * rng.standard_normal((SEEDS, *shape))
        elif name == "emission.matrix":
            arrays[name] = rng.standard_normal((SEEDS, *shape)) / shape[1] ** 0.5
        else:
            arrays[name] = np.full((SEEDS, *shape), -1.0 if name.endswith("raw") else 0.0)
    path = folder / f"sequence-{length}.npz"
    np.savez(path, **{name: array.astype(np.float32) for name, array in arrays.items()})
    return path


def measure(ours, folder, quick):
    jax = peer("sequence_jax")
    for length, steps in LENGTHS.items():
        request = {"file": str(write(folder, length)), "batch": BATCH, "states": STATES}
        own = {"hidden": HIDDEN, "seeds": SEEDS, "threads": 2}
        checked = ours.ask("sequence", steps=CHECKED_STEPS, noise=True, **request, **own)
        noise = folder / "sequence-noise.npy"
        shape = (SEEDS, CHECKED_STEPS, length, BATCH, STATES)
        np.save(noise, np.array(checked["noise"], np.float32).reshape(shape))
        theirs = jax.ask("sequence", steps=CHECKED_STEPS, noise=str(noise), **request)
        mine, others = np.array(checked["losses"]), np.array(theirs["losses"])
        gaps = {"losses, relative, JAX": (float((np.abs(mine - others) / np.abs(others)).max()), TOLERANCE)}
        few = steps // 5 if quick else steps
        contestants = {
            "latent-lab": lambda: ours.ask("sequence", steps=few, **request, **own),
            "JAX": lambda: jax.ask("sequence", steps=few, **request),
        }
        microseconds = {
            name: [1e6 * answer["seconds"] / (SEEDS * few) for answer in answers]
            for name, answers in rounds(contestants, 2 if quick else 5).items()
        }
        yield Comparison(
            "Neural state space with a smoothing posterior: one sequence training step of one seed",
            f"{length} steps, batch {BATCH}, states {STATES}, recurrent units {HIDDEN}",
            "µs",
            microseconds,
            "latent-lab",
            {"JAX": TARGET},
            gaps,
        )
    jax.stop()
    yield memory(folder, quick)


def memory(folder, quick):
    """What the process holds after many steps against what it holds after few: it must not grow."""
    request = {"file": str(write(folder, 25)), "batch": BATCH, "states": STATES, "hidden": HIDDEN, "seeds": 1, "threads": 1}
    values = {}
    for steps in MEMORY_STEPS:
        worker = latent_lab()
        few = steps // 5 if quick else steps
        values[f"after {steps} steps"] = [worker.ask("sequence", steps=few, **request)["memory"] / 1e6]
        worker.stop()
    short, long = values
    return Comparison(
        "Memory of sequence training", f"25 steps, batch {BATCH}, one seed", "MB", values, long, {short: 1.1}
    )
