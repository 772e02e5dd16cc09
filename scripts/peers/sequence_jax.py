"""Training steps of the neural state space in JAX: one program for all steps of all seeds, jit(vmap(scan))."""

import functools
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

ADAM = optax.adam(1e-3)
STATE_FLOOR, EMISSION_FLOOR, POSTERIOR_FLOOR = 1e-3, 1e-3, 1e-4  # of the standard deviations
LOG_2PI = 1.8378770664093453


def log_normal(x, mean, deviation):
    """Summed over the last axis."""
    u = (x - mean) / deviation
    return (-0.5 * u * u - jnp.log(deviation) - 0.5 * LOG_2PI).sum(-1)


def future(p, features):
    """States of gated recurrent units that run backwards: [T, B, F] -> [T, B, H]."""
    inputs = features @ p["posterior.future.input.weight"] + p["posterior.future.input.bias"]

    def step(state, x):
        u = state @ p["posterior.future.recurrent.weight"]
        (xr, xz, xn), (ur, uz, un) = jnp.split(x, 3, axis=1), jnp.split(u, 3, axis=1)
        reset, update = jax.nn.sigmoid(xr + ur), jax.nn.sigmoid(xz + uz)
        candidate = jnp.tanh(xn + reset * (un + p["posterior.future.recurrent.bias"]))
        state = candidate + update * (state - candidate)
        return state, state

    units = p["posterior.future.recurrent.bias"].shape[0]
    return jax.lax.scan(step, jnp.zeros((features.shape[1], units)), inputs, reverse=True)[1]


def loss(p, observed, moments, noise):
    """Minus the evidence lower bound with one path, mean over the batch: observed [T, B, O], noise [T, B, X]."""
    mean, deviation = moments
    target = (observed - mean) / deviation
    seen = jnp.concatenate([future(p, target), target], axis=2)  # [T, B, C]
    scale, states = jnp.exp(p["posterior.log_scale"]), noise.shape[2]
    # What does not depend on the state before is one product over all steps.
    columns = seen.shape[2]
    by_context, by_state = jnp.split(p["posterior.head.0.weight"], [columns])
    skip_context, skip_state = jnp.split(p["posterior.skip.0.weight"], [columns])
    hidden = seen @ by_context + p["posterior.head.0.bias"]
    beside = seen @ skip_context + p["posterior.skip.0.bias"]

    def step(previous, given):
        hidden, beside, noise = given
        h = jnp.tanh(hidden + previous @ by_state)
        output = h @ p["posterior.head.1.weight"] + p["posterior.head.1.bias"] + beside + previous @ skip_state
        mean, raw = output[:, :states] * scale, output[:, states:] + p["posterior.log_scale"]
        sigma = POSTERIOR_FLOOR + jnp.exp(raw)
        x = mean + sigma * noise
        return x / scale, (x, log_normal(x, mean, sigma))

    first = jnp.broadcast_to(p["posterior.first"], noise.shape[1:])
    x, log_q = jax.lax.scan(step, first, (hidden, beside, noise))[1]  # [T, B, X], [T, B]
    initial = log_normal(x[0], p["initial.mean"], STATE_FLOOR + jnp.exp(p["initial.raw"]))
    h = jnp.tanh(x[:-1] @ p["transition.0.weight"] + p["transition.0.bias"])
    moved = x[:-1] + h @ p["transition.1.weight"] + p["transition.1.bias"]
    transition = log_normal(x[1:], moved, STATE_FLOOR + jnp.exp(p["transition.raw"]))
    location = (x @ p["emission.matrix"].T + p["emission.offset"] - mean) / deviation
    emission = log_normal(target, location, EMISSION_FLOOR + jnp.exp(p["emission.raw"])) - jnp.log(deviation).sum()
    return -(initial + transition.sum(0) + emission.sum(0) - log_q.sum(0)).mean()


@functools.partial(jax.jit, static_argnames=("steps", "states"))
def train(parameters, batches, moments, keys, noise, steps, states):
    """The losses before each step, [S, steps]: parameters [S, ..], batches [N/B, T, B, O], noise [S, steps, T, B, X]."""

    def run(parameters, key, noise):
        def step(state, t):
            parameters, adam = state
            observed = batches[t % len(batches)]
            shape = (*observed.shape[:2], states)
            own = jax.random.normal(jax.random.fold_in(key, t), shape) if noise is None else noise[t]
            value, gradient = jax.value_and_grad(loss)(parameters, observed, moments, own)
            updates, adam = ADAM.update(gradient, adam)
            return (optax.apply_updates(parameters, updates), adam), value

        return jax.lax.scan(step, (parameters, ADAM.init(parameters)), jnp.arange(steps))[1]

    return jax.vmap(run)(parameters, keys, noise)


def sequence(file, batch, states, steps, noise=None):
    arrays = dict(np.load(file))
    observed = arrays.pop("observed")
    flat = observed.reshape(-1, observed.shape[2]).astype(np.float64)
    moments = tuple(jnp.asarray(m, jnp.float32) for m in (flat.mean(0), flat.std(0)))
    batches = jnp.asarray(observed.reshape(-1, batch, *observed.shape[1:]).swapaxes(1, 2))
    parameters = {name: jnp.asarray(array) for name, array in arrays.items()}
    keys = jax.random.split(jax.random.key(0), len(parameters["posterior.first"]))
    given = None if noise is None else jnp.asarray(np.load(noise))
    compiled = train.lower(parameters, batches, moments, keys, given, steps=steps, states=states).compile()
    start = time.perf_counter()
    losses = compiled(parameters, batches, moments, keys, given).block_until_ready()
    return {"seconds": time.perf_counter() - start, "losses": losses.tolist()}


JOBS = {"sequence": sequence}
