"""Training of a mixture density network, 4 → h → h → (5 components × 2 dimensions), eight seeds.

Everyone gets the same rows, initial weights and batches; the losses before the first steps must agree. PyTorch is timed
twice: as it is usually run, one seed after the other in one process, with its own number of threads and form of Adam; and
in the best arrangement found, two processes of one thread with half the seeds each, and the fused form of Adam.
"""

import numpy as np

from .measure import Comparison, peer, rounds

SEEDS = 8
ROWS = 8192
USUAL, BEST = "PyTorch, as usually run", "PyTorch, two processes, fused Adam"
# batch, hidden units: steps of a timed run, and the targets against JAX and PyTorch.
SIZES = {
    (64, 64): (2000, {"JAX": 0.6, USUAL: 1 / 15, BEST: 1 / 15}),
    (256, 64): (800, {"JAX": 0.5, USUAL: 1 / 15, BEST: 1 / 15}),
    (256, 128): (400, {"JAX": 0.45}),
    (1024, 256): (60, {"JAX": 0.9}),
}
# Rounding differs, and training slowly magnifies it; a wrong gradient shows within a few steps.
TOLERANCE, CHECKED_STEPS = 1e-3, 60


def write(folder, hidden):
    """Rows whose answer is one of two curves, and initial weights of variance 1/I; all f32."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, 4))
    side = np.where(rng.random(ROWS) < 0.5, 1.0, -1.0)
    y = np.stack([side * (1 + np.tanh(x[:, 0])), np.sin(2 * x[:, 1]) + side * x[:, 2]], axis=1)
    arrays = {"x": x, "y": y + 0.2 * rng.standard_normal((ROWS, 2))}
    sizes = [4, hidden, hidden, 25]
    for i, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
        arrays[f"weight.{i}"] = rng.standard_normal((SEEDS, inputs, outputs)) / inputs**0.5
        arrays[f"bias.{i}"] = np.zeros((SEEDS, outputs))
    path = folder / f"network-{hidden}.npz"
    np.savez(path, **{name: array.astype(np.float32) for name, array in arrays.items()})
    return path


def measure(ours, folder, quick):
    jax, usual, halves = peer("jax"), peer("torch"), [peer("torch"), peer("torch")]
    for (batch, hidden), (steps, targets) in SIZES.items():
        few = max(20, steps // (10 if quick else 1))
        request = {"file": str(write(folder, hidden)), "batch": batch, "hidden": hidden, "steps": few}
        fewer = request | {"steps": max(10, few // 10)}
        contestants = {
            "latent-lab": lambda: ours.ask("network", threads=2, **request),
            "JAX": lambda: jax.ask("network", **request),
            USUAL: lambda: usual.ask("network", seeds=list(range(SEEDS)), **fewer),
            BEST: lambda: in_two_processes(halves, fewer),
        }
        results = rounds(contestants, 2 if quick else 5)
        microseconds = {
            name: [1e6 * answer["seconds"] / (SEEDS * len(answer["losses"][0])) for answer in answers]
            for name, answers in results.items()
        }
        gaps = {
            f"losses, {name}": (loss_gap(results["latent-lab"][0], answers[0]), TOLERANCE)
            for name, answers in results.items()
            if name != "latent-lab"
        }
        yield Comparison(
            "Mixture density network: one training step of one seed",
            f"batch {batch}, hidden {hidden}",
            "µs",
            microseconds,
            "latent-lab",
            targets,
            gaps,
        )
    for worker in [jax, usual, *halves]:
        worker.stop()


def in_two_processes(workers, request):
    """All seeds in PyTorch, half of them in each of two workers side by side."""
    halves = [list(range(SEEDS // 2)), list(range(SEEDS // 2, SEEDS))]
    for worker, seeds in zip(workers, halves):
        worker.send("network", seeds=seeds, threads=1, fused=True, **request)
    answers = [worker.receive() for worker in workers]
    return {
        "seconds": max(answer["seconds"] for answer in answers),
        "losses": sum((answer["losses"] for answer in answers), []),
    }


def better_arrangement(workers, job, request):
    """The faster way to train all seeds in PyTorch: what it is called, and a call of it with more to the request."""

    def threads(**more):
        return workers[0].ask(job, seeds=list(range(SEEDS)), threads=2, **request | more)

    def processes(**more):
        halves = [list(range(SEEDS // 2)), list(range(SEEDS // 2, SEEDS))]
        for worker, seeds in zip(workers, halves):
            worker.send(job, seeds=seeds, threads=1, **request | more)
        answers = [worker.receive() for worker in workers]
        return {
            "seconds": max(answer["seconds"] for answer in answers),
            "losses": sum((answer["losses"] for answer in answers), []),
        }

    ways = {"two threads": threads, "two processes": processes}
    seconds = {name: way()["seconds"] for name, way in ways.items() for _ in range(2)}  # of the second call
    name = min(seconds, key=seconds.get)
    return name, ways[name]


def loss_gap(ours, theirs):
    """The largest difference of any seed's loss, nats, in the first steps that both made."""
    a, b = np.array(ours["losses"]), np.array(theirs["losses"])
    steps = min(a.shape[1], b.shape[1], CHECKED_STEPS)
    return float(np.abs(a[:, :steps] - b[:, :steps]).max())
