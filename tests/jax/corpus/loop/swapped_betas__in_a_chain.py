"""Adam's two betas are the wrong way round, in a chain with clipping that a TrainState keeps."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax.training.train_state import TrainState

import smokestep


class MLP(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(2)(nn.relu(nn.Dense(12)(x)))


def build(b1, b2):
    model = MLP()
    x = jax.random.normal(jax.random.key(0), (16, 5))
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(optax.constant_schedule(1e-3), b1, b2))
    state = TrainState.create(apply_fn=model.apply, params=model.init(jax.random.key(1), x)["params"], tx=tx)

    @jax.jit
    def step(state, batch):
        x, y = batch

        def loss_fn(params):
            return jnp.mean((state.apply_fn({"params": params}, x) - y) ** 2)

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads=grads), loss  # BUG?: swapped-betas

    return smokestep.Training(step, (x, jnp.sin(x[:, :2])), state=state)


def buggy():
    return build(0.999, 0.9)


def fixed():
    return build(0.9, 0.999)
