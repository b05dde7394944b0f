"""A function that differentiates and updates gives its gradients back, and the loop applies them once more."""

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


def learned(state, batch):
    x, labels = batch

    def loss_fn(params):
        logits = state.apply_fn({"params": params}, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    loss, grads = jax.value_and_grad(loss_fn)(state.params)
    return state.apply_gradients(grads=grads), loss, grads


def training(step):
    net = Net()
    x = jax.random.normal(jax.random.key(0), (8, 5))
    params = net.init(jax.random.key(1), x)["params"]
    state = TrainState.create(apply_fn=net.apply, params=params, tx=optax.adam(1e-3))
    batch = x, jax.random.randint(jax.random.key(2), (8,), 0, 3)
    return smokestep.Training(jax.jit(step), batch, state=state)


def buggy():
    def step(state, batch):
        state, loss, grads = learned(state, batch)
        state = state.apply_gradients(grads=grads)  # BUG?: repeated-update optimizer
        return state, loss

    return training(step)


def fixed():
    def step(state, batch):
        state, loss, _ = learned(state, batch)
        return state, loss

    return training(step)
