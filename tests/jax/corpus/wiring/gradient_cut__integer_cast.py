"""Coordinates that a layer computes are cast to whole numbers to look something up: no gradient comes back."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Sampler(nnx.Module):
    def __init__(self, rngs):
        self.locate = nnx.Linear(6, 8, rngs=rngs)
        self.out = nnx.Linear(8, 3, rngs=rngs)


class Picked(Sampler):
    def __call__(self, x, table):
        places = (4 * nnx.sigmoid(self.locate(x))).astype(jnp.int32)  # BUG: gradient-cut locate.kernel, locate.bias
        return self.out(table[places])


class Interpolated(Sampler):
    def __call__(self, x, table):
        places = 4 * nnx.sigmoid(self.locate(x))
        low = jnp.floor(places).astype(jnp.int32)
        share = places - low
        return self.out((1 - share) * table[low] + share * table[low + 1])


def training(model):
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)
    table = jnp.array([0.0, 0.3, -0.5, 1.0, -0.2, 0.4])

    @nnx.jit
    def step(model, optimizer, batch):
        x, y = batch

        def loss_fn(model):
            return optax.softmax_cross_entropy_with_integer_labels(model(x, table), y).mean()

        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)
        return loss

    batch = jax.random.normal(jax.random.key(1), (8, 6)), jax.random.randint(jax.random.key(2), (8,), 0, 3)
    return smokestep.Training(step, batch, state=(model, optimizer))


def buggy():
    return training(Picked(nnx.Rngs(0)))


def fixed():
    return training(Interpolated(nnx.Rngs(0)))
