"""Batch normalization in inference mode: the layer is told in its call to use the stored statistics."""

from __future__ import annotations

import jax
import optax
from flax import nnx

import smokestep


class Net(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(12, 16, rngs=rngs)
        self.norm = nnx.BatchNorm(16, rngs=rngs)
        self.last = nnx.Linear(16, 3, rngs=rngs)


class Stored(Net):
    def __call__(self, x):
        x = self.norm(self.first(x), use_running_average=True)  # BUG: inference-normalization
        return self.last(nnx.relu(x))


class Computed(Net):
    def __call__(self, x):
        x = self.norm(self.first(x), use_running_average=False)
        return self.last(nnx.relu(x))


def training(model):
    optimizer = nnx.Optimizer(model, optax.sgd(0.05), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        x, y = batch

        def loss_fn(model):
            return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)
        return loss

    x = 2 * jax.random.normal(jax.random.key(0), (16, 12)) + 1
    y = jax.random.randint(jax.random.key(1), (16,), 0, 3)
    return smokestep.Training(step, (x, y), state=(model, optimizer))


def buggy():
    return training(Stored(nnx.Rngs(2)))


def fixed():
    return training(Computed(nnx.Rngs(2)))
