"""Training steps of the mixture density network in JAX: one program for all steps of all seeds, jit(vmap(scan))."""

import functools
import math
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

ADAM = optax.adam(1e-3)


def loss(parameters, x, y):
    """-log p(y|x), mean over the batch: x [B, 4], y [B, 2]."""
    h = x
    for weight, bias in parameters[:-1]:
        h = jnp.tanh(h @ weight + bias)
    weight, bias = parameters[-1]
    out = h @ weight + bias  # [B, 25]
    means, raw = out[:, 5:15].reshape(-1, 5, 2), out[:, 15:].reshape(-1, 5, 2)
    deviation = 1e-3 + jnp.exp(raw)
    u = (y[:, None] - means) / deviation
    likelihood = (-0.5 * u * u - jnp.log(deviation)).sum(-1) - math.log(2 * math.pi)  # [B, K]
    joint = jax.nn.log_softmax(out[:, :5]) + likelihood
    return -jax.nn.logsumexp(joint, axis=-1).mean()


@functools.partial(jax.jit, static_argnames="steps")
def train(parameters, xs, ys, steps):
    """The losses before each step, [S, steps]: parameters [S, ..], xs [N/B, B, 4], ys [N/B, B, 2]."""

    def step(state, t):
        parameters, moments = state
        i = t % len(xs)
        value, gradient = jax.value_and_grad(loss)(parameters, xs[i], ys[i])
        updates, moments = ADAM.update(gradient, moments)
        return (optax.apply_updates(parameters, updates), moments), value

    def run(parameters):
        return jax.lax.scan(step, (parameters, ADAM.init(parameters)), jnp.arange(steps))[1]

    return jax.vmap(run)(parameters)


def network(file, batch, hidden, steps):
    arrays = np.load(file)
    xs, ys = (jnp.asarray(arrays[name].reshape(-1, batch, arrays[name].shape[1])) for name in "xy")
    parameters = [(jnp.asarray(arrays[f"weight.{i}"]), jnp.asarray(arrays[f"bias.{i}"])) for i in range(3)]
    compiled = train.lower(parameters, xs, ys, steps=steps).compile()
    start = time.perf_counter()
    losses = compiled(parameters, xs, ys).block_until_ready()
    return {"seconds": time.perf_counter() - start, "losses": losses.tolist()}


JOBS = {"network": network}
