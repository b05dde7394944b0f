"""A stop_gradient left in from debugging, in a training that keeps an average of its weights, moved by rounding alone."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Denoiser(nnx.Module):
    def __init__(self, rngs, probe):
        self.body = nnx.Linear(6, 16, rngs=rngs)
        self.mid = nnx.Linear(16, 16, rngs=rngs)
        self.head = nnx.Linear(16, 6, rngs=rngs)
        self.probe = probe

    def __call__(self, x):
        h = nnx.silu(self.mid(nnx.silu(self.body(x))))
        if self.probe:
            h = jax.lax.stop_gradient(h)  # BUG: gradient-cut *body.*, *mid.*
        return self.head(h)


def training(probe):
    graph, params = nnx.split(Denoiser(nnx.Rngs(0), probe), nnx.Param)
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))

    @jax.jit
    def step(params, average, opt_state, key, x):
        key, now = jax.random.split(key)
        noise = jax.random.normal(now, x.shape)

        def loss_fn(params):
            return jnp.mean((nnx.merge(graph, params)(0.7 * x + 0.7 * noise) - noise) ** 2)

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
        average = jax.tree.map(lambda kept, new: 0.99 * kept + 0.01 * new, average, params)
        return params, average, opt_state, key, loss

    x = jax.random.normal(jax.random.key(1), (16, 6))
    state = (params, jax.tree.map(jnp.copy, params), tx.init(params), jax.random.key(2))
    return smokestep.Training(step, x, state=state)


def buggy():
    return training(True)


def fixed():
    return training(False)
