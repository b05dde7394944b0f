"""The dropout key of a Linen model is made once, and handed to every step as it is."""

from __future__ import annotations

import flax.linen as nn
import jax
import optax
from flax.training.train_state import TrainState

import smokestep


class Net(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = nn.relu(nn.Dense(32)(x))
        x = nn.Dropout(0.3, deterministic=not train)(x)  # BUG?: reused-key
        return nn.Dense(3)(x)


def training(key_of):
    model = Net()
    x = jax.random.normal(jax.random.key(0), (8, 6))
    y = jax.random.randint(jax.random.key(1), (8,), 0, 3)
    params_key, dropout_key = jax.random.split(jax.random.key(2))
    params = model.init(params_key, x, train=False)["params"]
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(1e-3))

    @jax.jit
    def train_step(state, batch):
        x, y = batch
        rngs = {"dropout": key_of(dropout_key, state.step)}

        def loss_fn(params):
            logits = state.apply_fn({"params": params}, x, train=True, rngs=rngs)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads=grads), loss

    return smokestep.Training(train_step, (x, y), state=state)


def buggy():
    return training(lambda key, step: key)


def fixed():
    return training(jax.random.fold_in)
