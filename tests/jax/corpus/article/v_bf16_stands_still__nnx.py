"""Weights kept in bfloat16 stand still under small updates: every gradient is there, and rounding loses each step."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


def network(**kinds):
    rngs = nnx.Rngs(0)
    kinds |= {"rngs": rngs, "bias_init": nnx.initializers.constant(0.1)}
    model = nnx.Sequential(nnx.Linear(8, 16, **kinds), nnx.tanh, nnx.Linear(16, 1, **kinds))
    away = jax.tree.map(
        lambda p: jnp.where(p < 0, jnp.minimum(p, -0.1), jnp.maximum(p, 0.1)), nnx.state(model, nnx.Param)
    )
    nnx.update(model, away)
    return model


def training(model):
    optimizer = nnx.Optimizer(model, optax.adam(1e-5), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        x, y = batch

        def loss_fn(model):
            return jnp.mean((model(x).astype(jnp.float32) - y) ** 2)

        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)  # BUG: lost-update layers.0.*, layers.2.*
        return loss

    x, y = jax.random.normal(jax.random.key(1), (16, 8)), jax.random.normal(jax.random.key(2), (16, 1))
    return smokestep.Training(step, (x, y), state=(model, optimizer))


def buggy():
    return training(network(dtype=jnp.bfloat16, param_dtype=jnp.bfloat16))


def fixed():
    return training(network(dtype=jnp.bfloat16))
