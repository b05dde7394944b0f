"""The samples are averaged before the head, since the axis was meant for an image's pixels."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

import smokestep


class Net(nn.Module):
    axis: int

    @nn.compact
    def __call__(self, x):
        h = nn.relu(nn.Dense(16)(x))
        pooled = h.mean(axis=self.axis)
        h = jnp.broadcast_to(pooled, (x.shape[0], 16)) if self.axis == (0, 1) else pooled
        return nn.Dense(3)(h)


def training(axis):
    model = Net(axis)
    x = jax.random.normal(jax.random.key(0), (8, 5, 4))
    params = model.init(jax.random.key(1), x)["params"]
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, batch):
        x, y = batch

        def loss_fn(params):
            logits = model.apply({"params": params}, x)  # BUG: constant-output
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    batch = x, jax.random.randint(jax.random.key(2), (8,), 0, 3)
    return smokestep.Training(step, batch, state=(params, optimizer.init(params)))


def buggy():
    return training(axis=(0, 1))


def fixed():
    return training(axis=1)
