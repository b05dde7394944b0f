"""A softmax over one unit is always 1: binary cross-entropy written by hand on top of it is a constant."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Net(nnx.Module):
    def __init__(self, head, rngs):
        self.body = nnx.Linear(6, 12, rngs=rngs)
        self.out = nnx.Linear(12, 1, rngs=rngs)
        self.head = head

    def __call__(self, x):
        return self.head(self.out(nnx.relu(self.body(x))))  # BUG: constant-loss


def training(head):
    model = Net(head, nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.rmsprop(1e-3), wrt=nnx.Param)
    x = jax.random.normal(jax.random.key(1), (8, 6))
    y = jax.random.randint(jax.random.key(2), (8, 1), 0, 2).astype(jnp.float32)

    def loss_fn(model):
        p = model(x)
        return -(y * jnp.log(p) + (1 - y) * jnp.log(1 - p + 1e-6)).mean()

    @nnx.jit
    def step(model, optimizer):
        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(step, state=(model, optimizer))


def buggy():
    return training(nnx.softmax)


def fixed():
    return training(nnx.sigmoid)
