"""A residual branch behind a gate of 0 that is no parameter never trains; behind a trained gate it starts at step two."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import smokestep


class Block(eqx.Module):
    fc1: eqx.nn.Linear
    fc2: eqx.nn.Linear
    gate: jax.Array | float

    def __init__(self, width, gate, key):
        a, b = jax.random.split(key)
        self.fc1, self.fc2 = eqx.nn.Linear(width, width, key=a), eqx.nn.Linear(width, width, key=b)
        self.gate = gate

    def __call__(self, x):
        h = self.fc2(jax.nn.relu(self.fc1(x)))
        return x + self.gate * h  # BUG?: zero-gradient layers.1.fn.fc1.*, layers.1.fn.fc2.*


def training(gate):
    a, b, c = jax.random.split(jax.random.key(0), 3)
    model = eqx.nn.Sequential(
        [eqx.nn.Linear(6, 12, key=a), eqx.nn.Lambda(Block(12, gate, b)), eqx.nn.Linear(12, 3, key=c)]
    )
    optim = optax.adam(1e-2)

    @eqx.filter_value_and_grad
    def compute_loss(model, x, y):
        return optax.softmax_cross_entropy_with_integer_labels(jax.vmap(model)(x), y).mean()

    @eqx.filter_jit
    def step(model, opt_state, batch):
        loss, grads = compute_loss(model, *batch)
        updates, opt_state = optim.update(grads, opt_state)
        return eqx.apply_updates(model, updates), opt_state, loss

    x, y = jax.random.normal(jax.random.key(1), (8, 6)), jax.random.randint(jax.random.key(2), (8,), 0, 3)
    return smokestep.Training(step, (x, y), state=(model, optim.init(eqx.filter(model, eqx.is_inexact_array))))


def buggy():
    return training(0.0)


def fixed():
    return training(jnp.zeros(1))
