"""Training steps of the variational autoencoder in eager PyTorch, one seed after the other."""

import time

import numpy as np
import torch

FLOOR = 1e-4  # of the standard deviations of q(z|x)


def perceptron(layers, h):
    for weight, bias in layers[:-1]:
        h = torch.tanh(torch.addmm(bias, h, weight))
    weight, bias = layers[-1]
    return torch.addmm(bias, h, weight)


def loss(encoder, decoder, x, noise):
    """Minus the evidence lower bound with one draw, mean over the batch: x [B, D], noise [B, Z]."""
    mean, raw = perceptron(encoder, x).chunk(2, 1)  # [B, Z] each
    deviation = FLOOR + torch.exp(raw)
    z = mean + deviation * noise
    logits = perceptron(decoder, z)
    misfit = torch.nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    # log p(z) - log q(z|x); their constants cancel.
    ratio = (0.5 * (noise * noise - z * z) + torch.log(deviation)).sum()
    return (misfit - ratio) / len(x)


def vae(file, batch, latent, steps, seeds, threads, noise=None):
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    arrays = {name: torch.from_numpy(array) for name, array in np.load(file).items()}
    batches = arrays["x"].split(batch)
    given = None if noise is None else torch.from_numpy(np.load(noise))
    losses, seconds = [], 0.0
    for seed in seeds:
        networks = [
            [[arrays[f"{network}.{kind}.{i}"][seed].clone().requires_grad_() for kind in ("weight", "bias")] for i in range(3)]
            for network in ("posterior", "decoder")
        ]
        parameters = [parameter for network in networks for layer in network for parameter in layer]
        adam = torch.optim.Adam(parameters, lr=1e-3, fused=True)  # the fastest of its forms
        own = []
        start = time.perf_counter()
        for t in range(steps):
            drawn = torch.randn(batch, latent) if given is None else given[seed, t]
            value = loss(*networks, batches[t % len(batches)], drawn)
            adam.zero_grad()
            value.backward()
            adam.step()
            own.append(value.detach())
        seconds += time.perf_counter() - start
        losses.append(torch.stack(own).tolist())
    return {"seconds": seconds, "losses": losses}


JOBS = {"vae": vae}
