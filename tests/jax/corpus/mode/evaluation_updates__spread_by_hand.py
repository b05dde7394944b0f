"""A module keeps the mean and the spread of its inputs by hand, and updates them in evaluation too."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Scaled(nnx.Module):
    def __init__(self, rngs):
        self.first, self.last = nnx.Linear(5, 12, rngs=rngs), nnx.Linear(12, 3, rngs=rngs)
        self.drop = nnx.Dropout(0.2, rngs=rngs)
        self.spread = nnx.BatchStat(jnp.ones(5))
        self.deterministic = False

    def scaled(self, x):
        return x / self.spread[...]

    def __call__(self, x):
        return self.last(self.drop(nnx.relu(self.first(self.scaled(x)))))


class Always(Scaled):
    def scaled(self, x):
        self.spread[...] = 0.8 * self.spread[...] + 0.2 * x.std(axis=0)  # BUG?: evaluation-updates
        return x / self.spread[...]


class Training(Scaled):
    def scaled(self, x):
        if not self.deterministic:
            self.spread[...] = 0.8 * self.spread[...] + 0.2 * x.std(axis=0)
        return x / self.spread[...]


def loss_fn(model, x, y):
    return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()


def build(kind):
    model = kind(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, *batch)
        optimizer.update(model, grads)
        return loss

    x = 2 * jax.random.normal(jax.random.key(1), (12, 5))
    return smokestep.Training(step, (x, jnp.arange(12) % 3), state=(model, optimizer))


def buggy():
    return build(Always)


def fixed():
    return build(Training)
