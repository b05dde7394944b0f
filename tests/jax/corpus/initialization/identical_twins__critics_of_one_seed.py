"""The two critics of which the smaller value is taken are built from streams with one seed."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Critic(nnx.Module):
    def __init__(self, rngs):
        self.hidden, self.value = nnx.Linear(5, 16, rngs=rngs), nnx.Linear(16, 1, rngs=rngs)

    def __call__(self, x):
        return self.value(nnx.relu(self.hidden(x)))[:, 0]  # BUG?: identical-twins


class Twins(nnx.Module):
    def __init__(self, seeds):
        self.one, self.other = (Critic(nnx.Rngs(seed)) for seed in seeds)


def loss_fn(twins, x, target):
    return jnp.mean((twins.one(x) - target) ** 2) + jnp.mean((twins.other(x) - target) ** 2)


def build(seeds):
    twins = Twins(seeds)
    optimizer = nnx.Optimizer(twins, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(twins, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(twins, *batch)
        optimizer.update(twins, grads)
        return loss

    x = jax.random.normal(jax.random.key(5), (16, 5))
    return smokestep.Training(step, (x, jnp.cos(x[:, 0])), state=(twins, optimizer))


def buggy():
    return build((0, 0))


def fixed():
    return build((0, 1))
