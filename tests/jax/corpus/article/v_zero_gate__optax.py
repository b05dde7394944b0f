"""A residual branch behind a gate of 0 that is no parameter never trains; behind a trained gate it starts at step two."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState

import smokestep


class Block(nn.Module):
    trained: bool

    @nn.compact
    def __call__(self, x):
        h = nn.Dense(12)(nn.relu(nn.Dense(12)(x)))
        gate = self.param("gate", nn.initializers.zeros, (1,)) if self.trained else jnp.zeros(1)
        return x + gate * h  # BUG?: zero-gradient Block_0.Dense_0.*, Block_0.Dense_1.*


class Net(nn.Module):
    trained: bool

    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(Block(self.trained)(nn.Dense(12)(x)))


def training(trained):
    model = Net(trained)
    x, y = jax.random.normal(jax.random.key(1), (8, 6)), jax.random.randint(jax.random.key(2), (8,), 0, 3)
    params = model.init(jax.random.key(0), x)["params"]
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(1e-2))

    @jax.jit
    def train_step(state, batch):
        x, y = batch

        def loss_fn(params):
            logits = state.apply_fn({"params": params}, x)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads=grads), loss

    return smokestep.Training(train_step, (x, y), state=state)


def buggy():
    return training(trained=False)


def fixed():
    return training(trained=True)
