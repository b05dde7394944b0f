"""Features are augmented by one of two functions, and both of them stop the gradient to the encoder."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep


def jittered(h, key):
    return jax.lax.stop_gradient(h + 0.1 * jax.random.normal(key, h.shape))


def dropped(h, key):
    return jax.lax.stop_gradient(h) * jax.random.bernoulli(key, 0.9, h.shape)  # BUG: gradient-cut encoder


def jittered_through(h, key):
    return h + 0.1 * jax.random.normal(key, h.shape)


def dropped_through(h, key):
    return h * jax.random.bernoulli(key, 0.9, h.shape)


def init():
    first, second = jax.random.split(jax.random.key(0))
    return {"encoder": jax.random.normal(first, (4, 8)) * 0.5, "head": jax.random.normal(second, (8, 3)) * 0.3}


def training(one, other):
    tx = optax.adam(1e-2)

    def loss_fn(params, count, key, x, y):
        h = jnp.tanh(x @ params["encoder"])
        h = jax.lax.cond(count < 0, one, other, h, key)
        return optax.softmax_cross_entropy_with_integer_labels(h @ params["head"], y).mean()

    @jax.jit
    def step(params, opt_state, count, key, batch):
        key, now = jax.random.split(key)
        loss, grads = jax.value_and_grad(loss_fn)(params, count, now, *batch)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, count + 1, key, loss

    params = init()
    batch = jax.random.normal(jax.random.key(1), (8, 4)), jax.random.randint(jax.random.key(2), (8,), 0, 3)
    state = params, tx.init(params), jnp.zeros((), jnp.int32), jax.random.key(3)
    return smokestep.Training(step, batch, state=state)


def buggy():
    return training(jittered, dropped)


def fixed():
    return training(jittered_through, dropped_through)
