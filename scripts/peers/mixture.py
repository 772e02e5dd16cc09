"""EM of a Gaussian mixture with full covariances: the same rows and starting values, so the same path in f64."""

import numpy as np

from .measure import Comparison, peer, rounds

# rows, dimensions, components: the target against scikit-learn.
SIZES = {(1_000_000, 2, 3): 1 / 30, (200_000, 2, 3): 1 / 30, (200_000, 8, 8): 1 / 15, (100_000, 16, 10): 1 / 10}
ITERATIONS = 8


def write(folder, n, d, k):
    """Overlapping clusters; starting means are some of their rows."""
    rng = np.random.default_rng(0)
    centres = 2 * rng.standard_normal((k, d))
    x = centres[np.arange(n) % k] + rng.standard_normal((n, d))
    path = folder / f"mixture-{n}-{d}-{k}.npz"
    np.savez(path, x=x, weights=np.full(k, 1 / k), means=x[:k], variance=np.array([4.0]))
    return path


def measure(ours, folder, quick):
    sklearn = peer("sklearn")
    for (n, d, k), target in SIZES.items():
        file = str(write(folder, n, d, k))
        iterations = 2 if quick else ITERATIONS
        contestants = {
            "latent-lab": lambda: ours.ask("mixture", file=file, iterations=iterations, threads=2),
            "scikit-learn": lambda: sklearn.ask("mixture", file=file, iterations=iterations),
        }
        results = rounds(contestants, 2 if quick else 5)
        a, b = (answers[0]["log_likelihood"] for answers in results.values())
        yield Comparison(
            "Gaussian mixture, full covariances: one EM iteration",
            f"{n:,} rows, {d} dimensions, {k} components",
            "ms",
            {name: [1e3 * answer["seconds"] / iterations for answer in answers] for name, answers in results.items()},
            "latent-lab",
            {"scikit-learn": target},
            {"log-likelihood, relative": (abs(a - b) / abs(b), 1e-9)},
        )
    sklearn.stop()
