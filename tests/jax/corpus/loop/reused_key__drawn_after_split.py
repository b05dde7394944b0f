"""The key is split, and the parent is drawn from as well: what a split key gives depends on what its children give."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep


def training(sample):
    init = jax.nn.initializers.lecun_normal()
    params = {"encoder": init(jax.random.key(0), (8, 6)), "decoder": init(jax.random.key(1), (3, 8))}
    optimizer = optax.adam(1e-3)

    def loss_fn(params, key, x):
        mean, log_var = jnp.split(x @ params["encoder"], 2, axis=1)
        code = mean + sample(key, mean.shape) * jnp.exp(0.5 * log_var)
        divergence = -0.5 * (1 + log_var - mean**2 - jnp.exp(log_var)).sum(1).mean()
        return ((code @ params["decoder"] - x) ** 2).sum(1).mean() + divergence

    @jax.jit
    def step(params, opt_state, key, x):
        key, now = jax.random.split(key)
        loss, grads = jax.value_and_grad(loss_fn)(params, now, x)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, key, loss

    x = jax.random.normal(jax.random.key(2), (16, 8))
    return smokestep.Training(step, x, state=(params, optimizer.init(params), jax.random.key(3)))


def buggy():
    def sample(key, shape):
        first, second = jax.random.split(key)
        wide = jax.random.normal(first, shape) + 0.1 * jax.random.normal(second, shape)
        return wide + 0.1 * jax.random.normal(key, shape)  # BUG?: reused-key

    return training(sample)


def fixed():
    def sample(key, shape):
        first, second, third = jax.random.split(key, 3)
        wide = jax.random.normal(first, shape) + 0.1 * jax.random.normal(second, shape)
        return wide + 0.1 * jax.random.normal(third, shape)

    return training(sample)
