"""The module ends in a softmax, and optax.softmax_cross_entropy applies its own."""

from __future__ import annotations

import flax.linen as nn
import jax
import optax
from flax.training.train_state import TrainState

import smokestep


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Dense(4)(nn.relu(nn.Dense(16)(x)))
        return self.head(x)


class Probabilities(Net):
    def head(self, x):
        return nn.softmax(x)


class Logits(Net):
    def head(self, x):
        return x


def training(net):
    x = jax.random.normal(jax.random.key(0), (8, 6))
    params = net.init(jax.random.key(1), x)["params"]
    state = TrainState.create(apply_fn=net.apply, params=params, tx=optax.adam(1e-3))

    @jax.jit
    def train_step(state, batch):
        x, y = batch

        def loss_fn(params):
            output = state.apply_fn({"params": params}, x)
            return optax.softmax_cross_entropy(output, jax.nn.one_hot(y, 4)).mean()  # BUG: double-softmax

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads=grads), loss

    return smokestep.Training(train_step, (x, jax.random.randint(jax.random.key(2), (8,), 0, 4)), state=state)


def buggy():
    return training(Probabilities())


def fixed():
    return training(Logits())
