"""The step makes a new TrainState and returns the one it was given."""

from __future__ import annotations

import flax.linen as nn
import jax
import optax
from flax.training.train_state import TrainState

import smokestep


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(nn.relu(nn.Dense(16)(x)))


def parts():
    model = Net()
    x = jax.random.normal(jax.random.key(0), (8, 6))
    params = model.init(jax.random.key(1), x)["params"]
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(1e-3))
    return state, (x, jax.random.randint(jax.random.key(2), (8,), 0, 3))


def loss_of(params, state, batch):
    x, y = batch
    logits = state.apply_fn({"params": params}, x)
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def buggy():
    state, batch = parts()

    @jax.jit
    def train_step(state, batch):
        loss, grads = jax.value_and_grad(loss_of)(state.params, state, batch)
        new_state = state.apply_gradients(grads=grads)  # BUG: unapplied-update
        return state, loss

    return smokestep.Training(train_step, batch, state=state)


def fixed():
    state, batch = parts()

    @jax.jit
    def train_step(state, batch):
        loss, grads = jax.value_and_grad(loss_of)(state.params, state, batch)
        new_state = state.apply_gradients(grads=grads)
        return new_state, loss

    return smokestep.Training(train_step, batch, state=state)
