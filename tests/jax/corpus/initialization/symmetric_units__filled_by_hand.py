"""Weights of a network written by hand are all filled with one number, "to begin small"."""

from __future__ import annotations

import jax
import jax.numpy as jnp

import smokestep


def forward(params, x):
    for w, b in params[:-1]:
        x = jnp.tanh(x @ w + b)  # BUG: symmetric-units 0.0, 1.0
    w, b = params[-1]
    return x @ w + b


def loss_fn(params, x, y):
    return jnp.mean((forward(params, x) - y) ** 2)


def build(weight):
    sizes = [(5, 12), (12, 8), (8, 2)]
    keys = jax.random.split(jax.random.key(0), len(sizes))
    params = [(weight(key, shape), jnp.zeros(shape[1])) for key, shape in zip(keys, sizes, strict=True)]

    @jax.jit
    def step(params, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
        return jax.tree.map(lambda p, g: p - 0.05 * g, params, grads), loss

    x = jax.random.normal(jax.random.key(1), (16, 5))
    return smokestep.Training(step, (x, jnp.sin(x[:, :2])), state=params)


def buggy():
    return build(lambda key, shape: jnp.full(shape, 0.1))


def fixed():
    return build(lambda key, shape: jax.random.normal(key, shape) / shape[0] ** 0.5)
