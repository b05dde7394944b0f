"""An embedding table behind stop_gradient gets no gradient; in a healthy one only the rows of the batch move."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep


def init(key):
    a, b = jax.random.split(key)
    lecun = jax.nn.initializers.lecun_normal()
    return {"table": jax.random.normal(a, (50, 8)), "out": {"w": lecun(b, (8, 2)), "b": jnp.zeros(2)}}


def stopped(params, ids):
    vectors = jax.lax.stop_gradient(params["table"])[ids]  # BUG: gradient-cut table
    return vectors.mean(axis=1) @ params["out"]["w"] + params["out"]["b"]


def looked_up(params, ids):
    vectors = params["table"][ids]
    return vectors.mean(axis=1) @ params["out"]["w"] + params["out"]["b"]


def training(model):
    params = init(jax.random.key(0))
    optimizer = optax.sgd(0.1)

    @jax.jit
    def step(params, opt_state, batch):
        ids, labels = batch

        def loss_fn(params):
            return optax.softmax_cross_entropy_with_integer_labels(model(params, ids), labels).mean()

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    ids = jax.random.randint(jax.random.key(1), (6, 5), 0, 10)
    labels = jax.random.randint(jax.random.key(2), (6,), 0, 2)
    return smokestep.Training(step, (ids, labels), state=(params, optimizer.init(params)))


def buggy():
    return training(stopped)


def fixed():
    return training(looked_up)
