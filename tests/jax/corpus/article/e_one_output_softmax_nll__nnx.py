"""A network that ends in a softmax over its single unit, with log and negative log-likelihood by hand."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Net(nnx.Module):
    def __init__(self, outputs, rngs):
        self.fc1 = nnx.Linear(6, 12, rngs=rngs)
        self.fc2 = nnx.Linear(12, outputs, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.fc1(x))
        return nnx.softmax(self.fc2(x), axis=-1)  # BUG: single-logit


def nll(probabilities, labels):
    return -jnp.log(jnp.take_along_axis(probabilities, labels[:, None], axis=1)).mean()


def training(outputs, labels):
    model = Net(outputs, nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        x, labels = batch
        loss, grads = nnx.value_and_grad(lambda m: nll(m(x), labels))(model)
        optimizer.update(model, grads)
        return loss

    x = jax.random.normal(jax.random.key(1), (8, 6))
    return smokestep.Training(step, (x, labels), state=(model, optimizer))


def buggy():
    return training(1, jnp.zeros(8, jnp.int32))


def fixed():
    return training(2, jax.random.randint(jax.random.key(2), (8,), 0, 2))
