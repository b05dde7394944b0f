"""The seed of the parameters is what the system calls random, and is written down nowhere."""

from __future__ import annotations

import os

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


def loss_fn(model, x, y):
    return jnp.mean((model(x) - y) ** 2)


def build(seed):
    model = nnx.Linear(5, 2, rngs=nnx.Rngs(seed()))
    optimizer = nnx.Optimizer(model, optax.sgd(0.05), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, *batch)
        optimizer.update(model, grads)
        return loss

    x = jax.random.normal(jax.random.key(1), (12, 5))
    return smokestep.Training(step, (x, x[:, :2] ** 2), state=(model, optimizer))


def buggy():
    return build(lambda: int.from_bytes(os.urandom(4), "little") >> 1)  # BUG?: irreproducible


def fixed():
    return build(lambda: 7)
