"""Weights kept in bfloat16 stand still under small updates: every gradient is there, and rounding loses each step."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import smokestep


def network():
    model = eqx.nn.MLP(8, 1, 16, 1, jnp.tanh, key=jax.random.key(0))
    params, static = eqx.partition(model, eqx.is_inexact_array)
    return eqx.combine(
        jax.tree.map(lambda p: jnp.where(p < 0, jnp.minimum(p, -0.1), jnp.maximum(p, 0.1)), params), static
    )


def halved(model):
    return jax.tree.map(lambda p: p.astype(jnp.bfloat16) if eqx.is_inexact_array(p) else p, model)


def training(model, before):
    optim = optax.adam(1e-5)

    @eqx.filter_value_and_grad
    def compute_loss(model, x, y):
        output = jax.vmap(before(model))(x.astype(jnp.bfloat16))
        return jnp.mean((output.astype(jnp.float32) - y) ** 2)

    @eqx.filter_jit
    def step(model, opt_state, batch):
        loss, grads = compute_loss(model, *batch)
        updates, opt_state = optim.update(grads, opt_state)  # BUG: lost-update layers.0.*, layers.1.*
        model = eqx.apply_updates(model, updates)
        return model, opt_state, loss

    x, y = jax.random.normal(jax.random.key(1), (16, 8)), jax.random.normal(jax.random.key(2), (16, 1))
    return smokestep.Training(step, (x, y), state=(model, optim.init(eqx.filter(model, eqx.is_inexact_array))))


def buggy():
    return training(halved(network()), before=lambda model: model)


def fixed():
    return training(network(), before=halved)
