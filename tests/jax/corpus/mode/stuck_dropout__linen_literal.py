"""A dropout of Linen that says `deterministic=False` itself, in a model that is told whether it trains."""

from __future__ import annotations

import flax.linen as nn
import jax
import optax
from flax.training import train_state

import smokestep


class Stuck(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = nn.relu(nn.Dense(16)(x))
        x = nn.Dropout(0.4)(x, deterministic=False)  # BUG?: stuck-dropout
        return nn.Dense(3)(x)


class Asking(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = nn.relu(nn.Dense(16)(x))
        x = nn.Dropout(0.4)(x, deterministic=not train)
        return nn.Dense(3)(x)


def training(model):
    x = jax.random.normal(jax.random.key(0), (8, 6))
    params = model.init({"params": jax.random.key(1), "dropout": jax.random.key(2)}, x, True)["params"]
    state = train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(1e-3))

    @jax.jit
    def step(state, key, batch):
        x, y = batch
        key, now = jax.random.split(key)

        def loss_fn(params):
            logits = state.apply_fn({"params": params}, x, True, rngs={"dropout": now})
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads=grads), key, loss

    batch = x, jax.random.randint(jax.random.key(3), (8,), 0, 3)
    return smokestep.Training(step, batch, state=(state, jax.random.key(4)))


def buggy():
    return training(Stuck())


def fixed():
    return training(Asking())
