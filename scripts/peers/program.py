"""The whole program: what `latent-lab run` adds to bare steps, two cores against one, memory, and time to start."""

import functools
import itertools
import subprocess
import sys
import time

from . import network
from .measure import Comparison, latent_lab, peer, rounds, run_program

EXPERIMENT = """\
question = "How long does this take?"
seeds = {seeds}

[data]
source = "file"
path = "{rows}"
given = ["x"]
observed = ["y"]
test_fraction = 0.5

[model]
kind = "conditional_mixture"
components = 5
hidden = [{hidden}, {hidden}]

[objective]
kind = "marginal_likelihood"

[training]
optimizer = "adam"
learning_rate = 1e-3
batch_size = {batch}
steps = {steps}
evaluate_every = {every}
"""
# batch, hidden units: steps and steps between evaluations.
SIZES = {(64, 64): (10_000, 1000), (256, 64): (4000, 1000), (256, 128): (2000, 500), (1024, 256): (300, 100)}


def experiment(folder, batch, hidden, steps, every):
    rows = network.write(folder, hidden)
    file = folder / f"batch-{batch}-hidden-{hidden}.toml"
    file.write_text(
        EXPERIMENT.format(seeds=network.SEEDS, rows=rows, hidden=hidden, batch=batch, steps=steps, every=every)
    )
    return rows, file


def measure(ours, folder, quick):
    yield from overhead(ours, folder, quick)
    yield memory(folder)
    yield from start(folder, quick)


def overhead(ours, folder, quick):
    for (batch, hidden), (steps, every) in SIZES.items():
        if quick:
            steps, every = steps // 5, every // 5
        rows, file = experiment(folder, batch, hidden, steps, every)
        request = {"file": str(rows), "batch": batch, "hidden": hidden, "steps": steps}
        folders = (folder / f"results-{i}" for i in itertools.count())

        def run(jobs):
            """Into a folder of its own: there is nothing to resume and nothing to delete."""
            return run_program("run", file, "--quiet", "--results", next(folders), "--jobs", jobs)

        contestants = {
            "run, 2 jobs": lambda: run(2),
            "bare steps, 2 threads": lambda: ours.ask("network", threads=2, **request)["seconds"],
            "run, 1 job": lambda: run(1),
        }
        seconds = rounds(contestants, 1 if quick else 3)
        case = f"batch {batch}, hidden {hidden}, {network.SEEDS} seeds of {steps} steps, {steps // every + 1} evaluations of {network.ROWS} rows"
        yield Comparison(
            "The whole program: `latent-lab run`, process to process",
            case,
            "s",
            seconds,
            "run, 2 jobs",
            {"bare steps, 2 threads": 1.1, "run, 1 job": 1 / 1.8},
        )


def memory(folder):
    """The most memory that training eight seeds takes, each side in a fresh process."""
    rows, file = experiment(folder, 64, 64, 300, 100)
    request = {"file": str(rows), "batch": 64, "hidden": 64, "steps": 100}
    values = {
        "latent-lab run": [
            run_program("run", file, "--fresh=all", "--quiet", "--results", folder / "results", memory=True)
        ]
    }
    every_seed = {"seeds": list(range(network.SEEDS))}
    for name, worker, extra in [
        ("bare steps", latent_lab(), {"threads": 2}),
        ("JAX", peer("jax"), {}),
        ("PyTorch", peer("torch"), every_seed),
    ]:
        worker.ask("network", **request, **extra)
        values[name] = [worker.peak_memory()]
        worker.stop()
    values = {name: [value / 1e6 for value in each] for name, each in values.items()} | {"limit": [100.0]}
    return Comparison(
        "Peak memory", "batch 64, hidden 64, 8 seeds", "MB", values, "latent-lab run", {"limit": 1.0}
    )


def start(folder, quick):
    """Processes that do next to nothing, as a shell would see them."""
    _, file = experiment(folder, 64, 64, 300, 100)
    repeats = 10 if quick else 50
    calls = {"latent-lab --version": (["--version"], 10.0), "latent-lab check FILE": (["check", file], 50.0)}
    short = {name: functools.partial(run_program, *arguments) for name, (arguments, _) in calls.items()}
    importing = {f"python -c 'import {name}'": functools.partial(import_of, name) for name in ("jax", "torch")}
    values = rounds(short, repeats) | rounds(importing, 1 if quick else 3)
    milliseconds = {name: [1e3 * value for value in each] for name, each in values.items()}
    for name, (_, limit) in calls.items():
        others = {other: milliseconds[other] for other in importing}
        yield Comparison(
            "Time to start and end", name, "ms", {name: milliseconds[name], "limit": [limit]} | others, name, {"limit": 1.0}
        )


def import_of(module):
    """Wall time of a Python that imports `module` and ends, s."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.perf_counter() - begin
