"""Training steps of the mixture density network in eager PyTorch, one seed after the other."""

import math
import time

import numpy as np
import torch


def loss(parameters, x, y):
    """-log p(y|x), mean over the batch: x [B, 4], y [B, 2]."""
    h = x
    for i in range(2):
        h = torch.tanh(torch.addmm(parameters[2 * i + 1], h, parameters[2 * i]))
    out = torch.addmm(parameters[5], h, parameters[4])  # [B, 25]
    means, raw = out[:, 5:15].reshape(-1, 5, 2), out[:, 15:].reshape(-1, 5, 2)
    deviation = 1e-3 + torch.exp(raw)
    u = (y[:, None] - means) / deviation
    likelihood = (-0.5 * u * u - torch.log(deviation)).sum(-1) - math.log(2 * math.pi)  # [B, K]
    joint = torch.log_softmax(out[:, :5], -1) + likelihood
    return -torch.logsumexp(joint, -1).mean()


def network(file, batch, hidden, steps, seeds, threads=None, fused=None):
    """`threads` and `fused` as PyTorch itself chooses, unless given."""
    if threads is not None and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    arrays = {name: torch.from_numpy(array) for name, array in np.load(file).items()}
    batches = list(zip(arrays["x"].split(batch), arrays["y"].split(batch)))
    losses, seconds = [], 0.0
    for seed in seeds:
        layers = [arrays[f"{kind}.{i}"][seed] for i in range(3) for kind in ("weight", "bias")]
        parameters = [layer.clone().requires_grad_() for layer in layers]
        adam = torch.optim.Adam(parameters, lr=1e-3, fused=fused)
        own = []
        start = time.perf_counter()
        for t in range(steps):
            value = loss(parameters, *batches[t % len(batches)])
            adam.zero_grad()
            value.backward()
            adam.step()
            own.append(value.detach())
        seconds += time.perf_counter() - start
        losses.append(torch.stack(own).tolist())
    return {"seconds": seconds, "losses": losses}


JOBS = {"network": network}
