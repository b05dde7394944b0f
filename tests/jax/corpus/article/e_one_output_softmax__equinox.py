"""A softmax over one unit is always 1, as the last layer of a chain: binary cross-entropy of it is a constant."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import smokestep


def training(head):
    model = eqx.nn.Sequential([eqx.nn.MLP(6, 1, 12, 1, key=jax.random.key(0)), eqx.nn.Lambda(head)])
    optim = optax.rmsprop(1e-3)
    x = jax.random.normal(jax.random.key(1), (8, 6))
    y = jax.random.randint(jax.random.key(2), (8, 1), 0, 2).astype(jnp.float32)

    @eqx.filter_value_and_grad
    def compute_loss(model):
        p = jax.vmap(model)(x)  # BUG: constant-loss
        return -(y * jnp.log(p) + (1 - y) * jnp.log(1 - p + 1e-6)).mean()

    @eqx.filter_jit
    def step(model, opt_state):
        loss, grads = compute_loss(model)
        updates, opt_state = optim.update(grads, opt_state)
        return eqx.apply_updates(model, updates), opt_state, loss

    return smokestep.Training(step, state=(model, optim.init(eqx.filter(model, eqx.is_inexact_array))))


def buggy():
    return training(jax.nn.softmax)


def fixed():
    return training(jax.nn.sigmoid)
