"""A network written as functions: the layer that reads the samples was taken out, and noise was left in its place."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep


def noise_alone(params, key, x):
    noise = jax.random.normal(key, (len(x), 8))
    h = jnp.tanh(params["start"] + noise)
    return h @ params["out"]  # BUG: ignored-input


def noise_added(params, key, x):
    noise = jax.random.normal(key, (len(x), 8))
    h = jnp.tanh(params["start"] + x + 0.1 * noise)
    return h @ params["out"]


def training(predict):
    params = {"start": jnp.zeros(8), "out": 0.3 * jax.random.normal(jax.random.key(0), (8, 3))}
    optimizer = optax.adam(1e-3)

    def loss_fn(params, key, batch):
        x, y = batch
        logits = predict(params, key, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    @jax.jit
    def step(params, opt_state, key, batch):
        key, now = jax.random.split(key)
        loss, grads = jax.value_and_grad(loss_fn)(params, now, batch)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, key, loss

    batch = jax.random.normal(jax.random.key(1), (8, 8)), jax.random.randint(jax.random.key(2), (8,), 0, 3)
    return smokestep.Training(step, batch, state=(params, optimizer.init(params), jax.random.key(3)))


def buggy():
    return training(noise_alone)


def fixed():
    return training(noise_added)
