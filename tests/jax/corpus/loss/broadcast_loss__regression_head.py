"""A regression network with one output unit, whose (N, 1) answers are compared with (N,) targets."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState

import smokestep


class Regressor(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(32)(x))
        return nn.Dense(1)(x)


def training(loss_of):
    model = Regressor()
    x = jax.random.normal(jax.random.key(0), (16, 5))
    y = x @ jnp.arange(1.0, 6.0) / 5
    params = model.init(jax.random.key(1), x)["params"]
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.adamw(1e-3))

    @jax.jit
    def train_step(state, batch):
        x, y = batch

        def loss_fn(params):
            return loss_of(state.apply_fn({"params": params}, x), y)

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads=grads), loss

    return smokestep.Training(train_step, (x, y), state=state)


def buggy():
    def loss_of(predicted, y):
        return jnp.mean((predicted - y) ** 2)  # BUG: broadcast-loss

    return training(loss_of)


def fixed():
    def loss_of(predicted, y):
        return jnp.mean((predicted.squeeze(-1) - y) ** 2)

    return training(loss_of)
