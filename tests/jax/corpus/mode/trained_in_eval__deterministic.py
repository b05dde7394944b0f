"""`deterministic=True` in the training step: the dropout of the model never drops."""

from __future__ import annotations

import flax.linen as nn
import jax
import optax

import smokestep


class Net(nn.Module):
    @nn.compact
    def __call__(self, x, deterministic):
        x = nn.relu(nn.Dense(32)(x))
        x = nn.Dropout(0.5, deterministic=deterministic)(x)
        return nn.Dense(3)(x)


def training(deterministic):
    model = Net()
    x = jax.random.normal(jax.random.key(0), (8, 6))
    params = model.init(jax.random.key(1), x, deterministic=True)["params"]
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, key, batch):
        x, y = batch
        key, now = jax.random.split(key)

        def loss_fn(params):
            variables, rngs = {"params": params}, {"dropout": now}
            logits = model.apply(variables, x, deterministic=deterministic, rngs=rngs)  # BUG?: trained-in-eval
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, key, loss

    batch = x, jax.random.randint(jax.random.key(2), (8,), 0, 3)
    return smokestep.Training(step, batch, state=(params, optimizer.init(params), jax.random.key(3)))


def buggy():
    return training(deterministic=True)


def fixed():
    return training(deterministic=False)
