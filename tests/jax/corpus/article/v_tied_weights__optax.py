"""Tied embeddings: the head is the table itself when it is drawn, and after the first update it is another array."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep

VOCABULARY, WIDTH = 11, 8


def tanh_of_mix(params, ids):
    return jnp.tanh(params["embed"][ids] @ params["mix"])


def copied(params, ids):
    return tanh_of_mix(params, ids) @ params["head"].T  # BUG?: untied-weights head


def tied(params, ids):
    return tanh_of_mix(params, ids) @ params["embed"].T


def training(params, model):
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, ids):
        def loss_fn(params):
            logits = model(params, ids[:, :-1])
            return optax.softmax_cross_entropy_with_integer_labels(logits, ids[:, 1:]).mean()

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    ids = jax.random.randint(jax.random.key(1), (4, 9), 0, VOCABULARY)
    return smokestep.Training(step, ids, state=(params, optimizer.init(params)))


def init():
    a, b = jax.random.split(jax.random.key(0))
    return {"embed": 0.3 * jax.random.normal(a, (VOCABULARY, WIDTH)), "mix": 0.3 * jax.random.normal(b, (WIDTH, WIDTH))}


def buggy():
    params = init()
    params["head"] = params["embed"]
    return training(params, copied)


def fixed():
    return training(init(), tied)
