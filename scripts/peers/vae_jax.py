"""Training steps of the variational autoencoder in JAX: one program for all steps of all seeds, jit(vmap(scan))."""

import functools
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

ADAM = optax.adam(1e-3)
FLOOR = 1e-4  # of the standard deviations of q(z|x)


def perceptron(layers, h):
    for weight, bias in layers[:-1]:
        h = jnp.tanh(h @ weight + bias)
    weight, bias = layers[-1]
    return h @ weight + bias


def loss(parameters, x, noise):
    """Minus the evidence lower bound with one draw, mean over the batch: x [B, D], noise [B, Z]."""
    encoder, decoder = parameters
    mean, raw = jnp.split(perceptron(encoder, x), 2, axis=1)  # [B, Z] each
    deviation = FLOOR + jnp.exp(raw)
    z = mean + deviation * noise
    logits = perceptron(decoder, z)
    likelihood = (x * logits - jax.nn.softplus(logits)).sum(1)
    # log p(z) - log q(z|x); their constants cancel.
    ratio = (0.5 * (noise * noise - z * z) + jnp.log(deviation)).sum(1)
    return -(likelihood + ratio).mean()


@functools.partial(jax.jit, static_argnames=("steps", "latent"))
def train(parameters, xs, keys, noise, steps, latent):
    """The losses before each step, [S, steps]: parameters [S, ..], xs [N/B, B, D], noise [S, steps, B, Z], or drawn."""

    def run(parameters, key, noise):
        def step(state, t):
            parameters, moments = state
            x = xs[t % len(xs)]
            own = jax.random.normal(jax.random.fold_in(key, t), (x.shape[0], latent)) if noise is None else noise[t]
            value, gradient = jax.value_and_grad(loss)(parameters, x, own)
            updates, moments = ADAM.update(gradient, moments)
            return (optax.apply_updates(parameters, updates), moments), value

        return jax.lax.scan(step, (parameters, ADAM.init(parameters)), jnp.arange(steps))[1]

    return jax.vmap(run)(parameters, keys, noise)


def vae(file, batch, latent, steps, noise=None):
    arrays = np.load(file)
    xs = jnp.asarray(arrays["x"].reshape(-1, batch, arrays["x"].shape[1]))
    parameters = tuple(
        [(jnp.asarray(arrays[f"{network}.weight.{i}"]), jnp.asarray(arrays[f"{network}.bias.{i}"])) for i in range(3)]
        for network in ("posterior", "decoder")
    )
    keys = jax.random.split(jax.random.key(0), len(parameters[0][0][0]))
    given = None if noise is None else jnp.asarray(np.load(noise))
    compiled = train.lower(parameters, xs, keys, given, steps=steps, latent=latent).compile()
    start = time.perf_counter()
    losses = compiled(parameters, xs, keys, given).block_until_ready()
    return {"seconds": time.perf_counter() - start, "losses": losses.tolist()}


JOBS = {"vae": vae}
