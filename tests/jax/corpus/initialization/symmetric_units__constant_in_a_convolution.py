"""The filters of a convolution all begin as one small number, "to be neutral"."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax.training.train_state import TrainState

import smokestep


class CNN(nn.Module):
    kernel_init: nn.initializers.Initializer

    @nn.compact
    def __call__(self, x):
        first = nn.Conv(8, (3, 3), kernel_init=self.kernel_init, name="first")
        x = nn.relu(first(x))  # BUG: symmetric-units first.kernel
        x = nn.relu(nn.Conv(8, (3, 3), kernel_init=self.kernel_init, name="second")(x))
        return nn.Dense(3, name="out")(x.mean(axis=(1, 2)))


def build(kernel_init):
    model = CNN(kernel_init)
    x = jax.random.normal(jax.random.key(1), (8, 8, 8, 1))
    params = model.init(jax.random.key(0), x)["params"]
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(1e-3))

    @jax.jit
    def step(state, batch):
        def loss_fn(params):
            logits = state.apply_fn({"params": params}, batch["image"])
            return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads=grads), loss

    return smokestep.Training(step, {"image": x, "label": jnp.arange(8) % 3}, state=state)


def buggy():
    return build(nn.initializers.constant(0.05))


def fixed():
    return build(nn.initializers.lecun_normal())
