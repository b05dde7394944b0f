"""The momentum of a batch normalization is the one of another framework, where it is the weight of the new batch."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax.training import train_state

import smokestep


class TrainState(train_state.TrainState):
    batch_stats: Any


class Net(nn.Module):
    momentum: float

    @nn.compact
    def __call__(self, x, train):
        x = nn.Dense(12, use_bias=False)(x)
        x = nn.BatchNorm(use_running_average=not train, momentum=self.momentum)(x)  # BUG?: reversed-momentum
        return nn.Dense(3)(nn.relu(x))


def build(momentum):
    model = Net(momentum)
    x = jax.random.normal(jax.random.key(1), (16, 5))
    made = model.init(jax.random.key(0), x, train=False)
    state = TrainState.create(
        apply_fn=model.apply, params=made["params"], batch_stats=made["batch_stats"], tx=optax.adam(1e-3)
    )

    @jax.jit
    def step(state, batch):
        def loss_fn(params):
            held = {"params": params, "batch_stats": state.batch_stats}
            logits, new = state.apply_fn(held, batch[0], train=True, mutable=["batch_stats"])
            return optax.softmax_cross_entropy_with_integer_labels(logits, batch[1]).mean(), new

        (loss, new), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
        return state.apply_gradients(grads=grads, batch_stats=new["batch_stats"]), loss

    return smokestep.Training(step, (x, jnp.arange(16) % 3), state=state)


def buggy():
    return build(0.03)


def fixed():
    return build(0.97)
