"""The result of apply_updates is not assigned: it changes nothing in place, and the old parameters are returned."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, batch):
    x, y = batch
    h = jnp.tanh(x @ params["w1"])
    return optax.softmax_cross_entropy_with_integer_labels(h @ params["w2"], y).mean()


def parts():
    lecun = jax.nn.initializers.lecun_normal()
    params = {"w1": lecun(jax.random.key(0), (6, 16)), "w2": lecun(jax.random.key(1), (16, 3))}
    batch = jax.random.normal(jax.random.key(2), (8, 6)), jax.random.randint(jax.random.key(3), (8,), 0, 3)
    return params, optax.sgd(0.1, momentum=0.9), batch


def buggy():
    params, optimizer, batch = parts()

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state)
        optax.apply_updates(params, updates)  # BUG: unapplied-update
        return params, opt_state, loss

    return smokestep.Training(step, batch, state=(params, optimizer.init(params)))


def fixed():
    params, optimizer, batch = parts()

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state)
        params = optax.apply_updates(params, updates)
        return params, opt_state, loss

    return smokestep.Training(step, batch, state=(params, optimizer.init(params)))
