"""A softmax over one unit is always 1: binary cross-entropy written by hand on top of it is a constant."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep


def init(key):
    a, b = jax.random.split(key)
    he = jax.nn.initializers.he_normal()
    return [(he(a, (6, 12)), jnp.zeros(12)), (he(b, (12, 1)), jnp.zeros(1))]


def softmaxed(scores):
    return jax.nn.softmax(scores, axis=1)  # BUG: constant-loss


def training(head):
    params = init(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (8, 6))
    y = jax.random.randint(jax.random.key(2), (8, 1), 0, 2).astype(jnp.float32)
    optimizer = optax.rmsprop(1e-3)

    def loss_fn(params):
        (w1, b1), (w2, b2) = params
        p = head(jax.nn.relu(x @ w1 + b1) @ w2 + b2)
        return -(y * jnp.log(p) + (1 - y) * jnp.log(1 - p + 1e-6)).mean()

    @jax.jit
    def step(params, opt_state):
        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, state=(params, optimizer.init(params)))


def buggy():
    return training(softmaxed)


def fixed():
    return training(jax.nn.sigmoid)
