"""A schedule joined of nothing but a zero: the rate of the warm-up is where it begins, and where it ends."""

from __future__ import annotations

import jax
import optax
from flax import nnx

import smokestep


def training(schedule):
    rngs = nnx.Rngs(0)
    model = nnx.Sequential(nnx.Linear(6, 12, rngs=rngs), nnx.relu, nnx.Linear(12, 3, rngs=rngs))
    optimizer = nnx.Optimizer(model, optax.adam(schedule), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        x, y = batch

        def loss_fn(model):
            return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)  # BUG: zero-learning-rate
        return loss

    x, y = jax.random.normal(jax.random.key(1), (8, 6)), jax.random.randint(jax.random.key(2), (8,), 0, 3)
    return smokestep.Training(step, (x, y), state=(model, optimizer))


def buggy():
    return training(optax.linear_schedule(0.0, 0.0, transition_steps=1000))


def fixed():
    return training(optax.linear_schedule(0.0, 1e-3, transition_steps=1000))
