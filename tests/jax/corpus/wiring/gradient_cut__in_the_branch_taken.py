"""A cheaper branch for short inputs stops the gradient to what is below it; the other branch does not."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Net(nnx.Module):
    def __init__(self, rngs):
        self.below = nnx.Linear(6, 8, rngs=rngs)
        self.refine = nnx.Linear(8, 8, rngs=rngs)
        self.out = nnx.Linear(8, 2, rngs=rngs)

    def __call__(self, x):
        h = nnx.relu(self.below(x))
        short = jnp.sum(x != 0) < 100
        return self.out(jax.lax.cond(short, self.quick, lambda h: h + jnp.tanh(self.refine(h)), h))


class Detached(Net):
    @staticmethod
    def quick(h):
        return 0.5 * jax.lax.stop_gradient(h)  # BUG?: gradient-cut below.kernel, below.bias


class Through(Net):
    @staticmethod
    def quick(h):
        return 0.5 * h


def training(model):
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        x, y = batch
        loss, grads = nnx.value_and_grad(lambda model: jnp.mean((model(x) - y) ** 2))(model)
        optimizer.update(model, grads)
        return loss

    batch = jax.random.normal(jax.random.key(1), (8, 6)), jax.random.normal(jax.random.key(2), (8, 2))
    return smokestep.Training(step, batch, state=(model, optimizer))


def buggy():
    return training(Detached(nnx.Rngs(0)))


def fixed():
    return training(Through(nnx.Rngs(0)))
