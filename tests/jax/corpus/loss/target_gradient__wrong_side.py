"""stop_gradient on the prediction where it belongs on the bootstrapped value: the target is moved to meet it."""

from __future__ import annotations

import flax.linen as nn
import jax
import optax
from flax.training.train_state import TrainState

import smokestep


class Value(nn.Module):
    @nn.compact
    def __call__(self, states):
        return nn.Dense(1)(nn.relu(nn.Dense(16)(states)))[:, 0]


def training(loss_of):
    net = Value()
    states, following = jax.random.normal(jax.random.key(0), (8, 4)), jax.random.normal(jax.random.key(1), (8, 4))
    params = net.init(jax.random.key(2), states)["params"]
    state = TrainState.create(apply_fn=net.apply, params=params, tx=optax.adam(1e-3))

    @jax.jit
    def train_step(state, batch):
        states, rewards, following = batch

        def loss_fn(params):
            predicted = net.apply({"params": params}, states)
            target = rewards + 0.9 * net.apply({"params": params}, following)
            return loss_of(predicted, target)

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads=grads), loss

    return smokestep.Training(train_step, (states, jax.random.normal(jax.random.key(3), (8,)), following), state=state)


def buggy():
    def loss_of(predicted, target):
        return optax.squared_error(jax.lax.stop_gradient(predicted), target).mean()  # BUG?: target-gradient

    return training(loss_of)


def fixed():
    def loss_of(predicted, target):
        return optax.squared_error(predicted, jax.lax.stop_gradient(target)).mean()

    return training(loss_of)
