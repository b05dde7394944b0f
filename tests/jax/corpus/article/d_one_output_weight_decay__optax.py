"""One output under softmax cross-entropy again, with weight decay: every weight moves, and nothing is learned."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState

import smokestep


class MLP(nn.Module):
    outputs: int

    @nn.compact
    def __call__(self, x):
        return nn.Dense(self.outputs)(nn.relu(nn.Dense(16)(x)))


def training(outputs, labels):
    model = MLP(outputs)
    x = jax.random.normal(jax.random.key(0), (8, 10))
    params = model.init(jax.random.key(1), x)["params"]
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.adamw(1e-2, weight_decay=0.1))

    @jax.jit
    def train_step(state, x):
        def loss_fn(params):
            logits = state.apply_fn({"params": params}, x)
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()  # BUG: single-logit

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads=grads), loss

    return smokestep.Training(train_step, x, state=state)


def buggy():
    return training(1, jnp.zeros(8, jnp.int32))


def fixed():
    return training(2, jax.random.randint(jax.random.key(2), (8,), 0, 2))
