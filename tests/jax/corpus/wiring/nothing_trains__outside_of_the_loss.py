"""The model is called before the function that is differentiated: to that, the predictions are constants."""

from __future__ import annotations

import jax
import optax
from flax import nnx

import smokestep


class Net(nnx.Module):
    def __init__(self, rngs):
        self.hidden, self.out = nnx.Linear(6, 16, rngs=rngs), nnx.Linear(16, 3, rngs=rngs)

    def __call__(self, x):
        return self.out(nnx.tanh(self.hidden(x)))


def training(train_step):
    model = Net(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)
    batch = jax.random.normal(jax.random.key(1), (8, 6)), jax.random.randint(jax.random.key(2), (8,), 0, 3)
    return smokestep.Training(train_step, batch, state=(model, optimizer))


def buggy():
    def train_step(model, optimizer, batch):
        x, y = batch
        logits = model(x)

        def loss_fn(model):
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        loss, grads = nnx.value_and_grad(loss_fn)(model)  # BUG: nothing-trains
        optimizer.update(model, grads)
        return loss

    return training(train_step)


def fixed():
    def train_step(model, optimizer, batch):
        x, y = batch

        def loss_fn(model):
            logits = model(x)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)
        return loss

    return training(train_step)
