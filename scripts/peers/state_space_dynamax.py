"""Expectation steps of dynamax: `LinearGaussianSSM.e_step` of all sequences, compiled as one program, in f64."""

import functools
import time

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)  # before dynamax makes its first array

from dynamax.linear_gaussian_ssm import LinearGaussianSSM  # noqa: E402


@functools.cache
def program(file, side_by_side):
    """The compiled step, and what it is called with: parameters, observations [N, T, O]."""
    arrays = np.load(file)
    outputs, states = arrays["emission"].shape
    model = LinearGaussianSSM(states, outputs, has_dynamics_bias=False, has_emissions_bias=False)
    parameters, _ = model.initialize(
        initial_mean=arrays["initial_mean"],
        initial_covariance=arrays["initial_covariance"],
        dynamics_weights=arrays["transition"],
        dynamics_covariance=arrays["transition_noise"],
        emission_weights=arrays["emission"],
        emission_covariance=arrays["emission_noise"],
    )

    def step(parameters, observed):
        def one(sequence):
            return model.e_step(parameters, sequence)

        each, values = jax.vmap(one)(observed) if side_by_side else jax.lax.map(one, observed)
        return jax.tree.map(lambda statistic: statistic.sum(0), each), values

    given = parameters, jax.numpy.asarray(arrays["observed"])
    return jax.jit(step).lower(*given).compile(), given


def expectation(file, repeats, side_by_side):
    step, given = program(file, side_by_side)
    start = time.perf_counter()
    for _ in range(repeats):
        (_, transition, _), values = jax.block_until_ready(step(*given))
    seconds = time.perf_counter() - start
    before, between, after, _ = map(np.asarray, transition)  # Σ E[x xᵀ], Σ E[x x'ᵀ], Σ E[x' x'ᵀ]
    moments = np.block([[after, between.T], [between, before]])
    return {"seconds": seconds, "log_likelihoods": values.tolist(), "moments": moments.tolist()}


JOBS = {"expectation": expectation}
