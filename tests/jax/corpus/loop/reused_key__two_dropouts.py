"""One key for both dropouts of a network: the same units are left out in either layer."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep


def init(key):
    keys = jax.random.split(key, 3)
    he = jax.nn.initializers.he_normal()
    return {"w1": he(keys[0], (6, 16)), "w2": he(keys[1], (16, 16)), "w3": he(keys[2], (16, 3))}


def dropout(key, x, rate=0.2):
    return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0.0)


def one_key(params, key, x):
    x = dropout(key, jax.nn.relu(x @ params["w1"]))
    x = dropout(key, jax.nn.relu(x @ params["w2"]))  # BUG?: reused-key
    return x @ params["w3"]


def two_keys(params, key, x):
    first, second = jax.random.split(key)
    x = dropout(first, jax.nn.relu(x @ params["w1"]))
    x = dropout(second, jax.nn.relu(x @ params["w2"]))
    return x @ params["w3"]


def training(model):
    params, optimizer = init(jax.random.key(0)), optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, key, batch):
        x, y = batch
        key, now = jax.random.split(key)

        def loss_fn(params):
            return optax.softmax_cross_entropy_with_integer_labels(model(params, now, x), y).mean()

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, key, loss

    batch = jax.random.normal(jax.random.key(1), (8, 6)), jax.random.randint(jax.random.key(2), (8,), 0, 3)
    return smokestep.Training(step, batch, state=(params, optimizer.init(params), jax.random.key(3)))


def buggy():
    return training(one_key)


def fixed():
    return training(two_keys)
