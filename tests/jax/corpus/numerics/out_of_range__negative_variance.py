"""A plain function whose second output is to be a variance, and nothing keeps it from being negative."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep


def free(params, x):
    h = jnp.tanh(x @ params["w1"])
    return h @ params["variance"]  # BUG: out-of-range


def positive(params, x):
    h = jnp.tanh(x @ params["w1"])
    return jax.nn.softplus(h @ params["variance"])


def training(predict):
    lecun = jax.nn.initializers.lecun_normal()
    params = {"w1": lecun(jax.random.key(0), (6, 16)), "variance": lecun(jax.random.key(1), (16, 2))}
    optimizer = optax.adam(1e-3)

    def loss_fn(params, batch):
        x, squares = batch
        return jnp.mean((predict(params, x) - squares) ** 2)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    x = jax.random.normal(jax.random.key(2), (16, 6))
    batch = x, jax.random.normal(jax.random.key(3), (16, 2)) ** 2
    return smokestep.Training(step, batch, state=(params, optimizer.init(params)), output_range=(0, None))


def buggy():
    return training(free)


def fixed():
    return training(positive)
