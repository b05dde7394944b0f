"""The loss reads the parameters of the enclosing function, and not those that it is handed: no gradient arrives."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep


def model(params, x):
    return jnp.tanh(x @ params["w1"]) @ params["w2"]


def parts():
    lecun = jax.nn.initializers.lecun_normal()
    params = {"w1": lecun(jax.random.key(0), (6, 16)), "w2": lecun(jax.random.key(1), (16, 3))}
    batch = jax.random.normal(jax.random.key(2), (8, 6)), jax.random.randint(jax.random.key(3), (8,), 0, 3)
    return params, optax.adam(1e-3), batch


def training(loss_of):
    params, optimizer, batch = parts()

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_of(params, *batch))(params)  # BUG: nothing-trains
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, batch, state=(params, optimizer.init(params)))


def buggy():
    def loss_of(params, x, y):
        def loss_fn(p):
            return optax.softmax_cross_entropy_with_integer_labels(model(params, x), y).mean()

        return loss_fn

    return training(loss_of)


def fixed():
    def loss_of(params, x, y):
        def loss_fn(p):
            return optax.softmax_cross_entropy_with_integer_labels(model(p, x), y).mean()

        return loss_fn

    return training(loss_of)
