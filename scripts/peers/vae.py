"""Training of a variational autoencoder of binary 8×8 images, 64 → 256 → 256 → 16 latent dimensions and back, eight seeds.

Everyone gets the same images, initial weights and batches. In a timed run everyone draws noise by their own generator; in a
short run before, the peers are given the library's, and the losses must agree.
"""

import numpy as np

from .measure import Comparison, peer, rounds
from .network import SEEDS, better_arrangement, loss_gap

ROWS, PIXELS, LATENT, HIDDEN, BATCH = 4096, 64, 16, 256, 128
STEPS, CHECKED_STEPS, TOLERANCE = 200, 20, 1e-3
TARGET = 0.8  # of JAX


def write(folder):
    """Thresholded sums of a few random patterns, and initial weights of variance 1/I; all f32."""
    rng = np.random.default_rng(0)
    field = rng.standard_normal((ROWS, 8)) @ rng.standard_normal((8, PIXELS)) + rng.standard_normal((ROWS, PIXELS))
    arrays = {"x": field > 0}
    sizes = {"posterior": [PIXELS, HIDDEN, HIDDEN, 2 * LATENT], "decoder": [LATENT, HIDDEN, HIDDEN, PIXELS]}
    for network, widths in sizes.items():
        for i, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
            scale = (0.1 if outputs == 2 * LATENT else 1.0) / inputs**0.5
            arrays[f"{network}.weight.{i}"] = scale * rng.standard_normal((SEEDS, inputs, outputs))
            arrays[f"{network}.bias.{i}"] = np.zeros((SEEDS, outputs))
    path = folder / "vae.npz"
    np.savez(path, **{name: array.astype(np.float32) for name, array in arrays.items()})
    return path


def measure(ours, folder, quick):
    jax, torches = peer("vae_jax"), [peer("vae_torch"), peer("vae_torch")]
    request = {"file": str(write(folder)), "batch": BATCH, "latent": LATENT}
    own = {"hidden": HIDDEN, "threads": 2}
    arrangement, torch = better_arrangement(torches, "vae", request | {"steps": 10})
    torch_name = f"PyTorch, {arrangement}"
    checked = ours.ask("vae", steps=CHECKED_STEPS, noise=True, **request, **own)
    noise = folder / "vae-noise.npy"
    shape = (SEEDS, CHECKED_STEPS, BATCH, LATENT)
    np.save(noise, np.array(checked["noise"], np.float32).reshape(shape))
    given = {"steps": CHECKED_STEPS, "noise": str(noise)}
    gaps = {
        "losses, JAX": (loss_gap(checked, jax.ask("vae", **request, **given)), TOLERANCE),
        f"losses, {torch_name}": (loss_gap(checked, torch(**given)), TOLERANCE),
    }
    steps = STEPS // 5 if quick else STEPS
    contestants = {
        "latent-lab": lambda: ours.ask("vae", steps=steps, **request, **own),
        "JAX": lambda: jax.ask("vae", steps=steps, **request),
        torch_name: lambda: torch(steps=max(10, steps // 5)),
    }
    microseconds = {
        name: [1e6 * answer["seconds"] / (SEEDS * len(answer["losses"][0])) for answer in answers]
        for name, answers in rounds(contestants, 2 if quick else 5).items()
    }
    yield Comparison(
        "Variational autoencoder: one training step of one seed",
        f"{PIXELS}-{HIDDEN}-{HIDDEN}-latent {LATENT}, batch {BATCH}",
        "µs",
        microseconds,
        "latent-lab",
        {"JAX": TARGET},
        gaps,
    )
    for worker in [jax, *torches]:
        worker.stop()
