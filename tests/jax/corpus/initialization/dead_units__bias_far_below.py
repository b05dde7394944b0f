"""The biases of a network written by hand are drawn far below zero, so that hardly a unit is ever on."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep


def forward(params, x):
    h = jax.nn.relu(x @ params["hidden"]["w"] + params["hidden"]["b"])  # BUG?: dead-units hidden.w
    return h @ params["out"]["w"] + params["out"]["b"]


def loss_fn(params, x, y):
    return optax.softmax_cross_entropy_with_integer_labels(forward(params, x), y).mean()


def build(shift):
    keys = jax.random.split(jax.random.key(0), 4)
    params = {
        "hidden": {"w": jax.random.normal(keys[0], (6, 48)) / 6**0.5, "b": shift(jax.random.normal(keys[1], (48,)))},
        "out": {"w": jax.random.normal(keys[2], (48, 3)) / 48**0.5, "b": jnp.zeros(3)},
    }
    optimizer = optax.sgd(1e-2)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    batch = (jax.random.normal(keys[3], (32, 6)), jnp.arange(32) % 3)
    return smokestep.Training(step, batch, state=(params, optimizer.init(params)))


def buggy():
    return build(lambda bias: 6 * bias - 11.5)


def fixed():
    return build(lambda bias: 0.1 * bias)
