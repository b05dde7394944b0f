"""A residual branch behind a gate of 0 that is no parameter never trains; behind a trained gate it starts at step two."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Block(nnx.Module):
    def __init__(self, width, gate, rngs):
        self.fc1 = nnx.Linear(width, width, rngs=rngs)
        self.fc2 = nnx.Linear(width, width, rngs=rngs)
        self.gate = gate

    def __call__(self, x):
        h = self.fc2(nnx.relu(self.fc1(x)))
        return x + self.gate * h  # BUG?: zero-gradient layers.1.fc1.*, layers.1.fc2.*


def training(gate):
    rngs = nnx.Rngs(0)
    model = nnx.Sequential(nnx.Linear(6, 12, rngs=rngs), Block(12, gate, rngs), nnx.Linear(12, 3, rngs=rngs))
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        x, y = batch

        def loss_fn(model):
            return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)
        return loss

    x, y = jax.random.normal(jax.random.key(1), (8, 6)), jax.random.randint(jax.random.key(2), (8,), 0, 3)
    return smokestep.Training(step, (x, y), state=(model, optimizer))


def buggy():
    return training(nnx.BatchStat(jnp.zeros(1)))


def fixed():
    return training(nnx.Param(jnp.zeros(1)))
