"""Two lines that came along twice, in a step that is not compiled: one gradient moves the parameters two times."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep


def loss_fn(params, x, y):
    hidden = jnp.tanh(x @ params["w1"] + params["b1"])
    return jnp.mean((hidden @ params["w2"] - y) ** 2)


def training(step_of):
    he = jax.nn.initializers.he_normal()
    params = {"w1": he(jax.random.key(0), (5, 16)), "b1": jnp.zeros(16), "w2": he(jax.random.key(1), (16, 2))}
    optimizer = optax.sgd(0.05, momentum=0.9)
    batch = jax.random.normal(jax.random.key(2), (8, 5)), jax.random.normal(jax.random.key(3), (8, 2))
    return smokestep.Training(step_of(optimizer), batch, state=(params, optimizer.init(params)))


def buggy():
    def step_of(optimizer):
        def step(params, opt_state, batch):
            loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
            updates, opt_state = optimizer.update(grads, opt_state, params)
            params = optax.apply_updates(params, updates)
            updates, opt_state = optimizer.update(grads, opt_state, params)  # BUG?: repeated-update optimizer
            params = optax.apply_updates(params, updates)
            return params, opt_state, loss

        return step

    return training(step_of)


def fixed():
    def step_of(optimizer):
        def step(params, opt_state, batch):
            loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
            updates, opt_state = optimizer.update(grads, opt_state, params)
            params = optax.apply_updates(params, updates)
            return params, opt_state, loss

        return step

    return training(step_of)
