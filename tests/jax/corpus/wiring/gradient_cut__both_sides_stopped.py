"""SimSiam whose projections are stopped where they are made, so that the predictor's side is stopped, too."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep


def normalized(x):
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


def alike(p, z):
    return -jnp.mean(jnp.sum(normalized(p) * normalized(z), axis=-1))


def training(loss_fn):
    he = jax.nn.initializers.he_normal()
    keys = jax.random.split(jax.random.key(0), 3)
    params = {
        "encoder": he(keys[0], (8, 16)),
        "predictor": {"w1": he(keys[1], (16, 16)), "w2": he(keys[2], (16, 16))},
    }
    optimizer = optax.sgd(0.05)

    @jax.jit
    def step(params, opt_state, key, x):
        key, a, b = jax.random.split(key, 3)
        views = x + 0.1 * jax.random.normal(a, x.shape), x + 0.1 * jax.random.normal(b, x.shape)
        loss, grads = jax.value_and_grad(loss_fn)(params, *views)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, key, loss

    x = jax.random.normal(jax.random.key(1), (12, 8))
    return smokestep.Training(step, x, state=(params, optimizer.init(params), jax.random.key(2)))


def predict(params, z):
    return jax.nn.relu(z @ params["predictor"]["w1"]) @ params["predictor"]["w2"]


def buggy():
    def loss_fn(params, first, second):
        z1, z2 = jnp.tanh(first @ params["encoder"]), jnp.tanh(second @ params["encoder"])
        z1, z2 = jax.lax.stop_gradient((z1, z2))  # BUG: gradient-cut encoder
        return 0.5 * alike(predict(params, z1), z2) + 0.5 * alike(predict(params, z2), z1)

    return training(loss_fn)


def fixed():
    def loss_fn(params, first, second):
        z1, z2 = jnp.tanh(first @ params["encoder"]), jnp.tanh(second @ params["encoder"])
        t1, t2 = jax.lax.stop_gradient((z1, z2))
        return 0.5 * alike(predict(params, z1), t2) + 0.5 * alike(predict(params, z2), t1)

    return training(loss_fn)
