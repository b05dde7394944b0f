"""Weights kept in bfloat16 stand still under small updates: every gradient is there, and rounding loses each step."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

import smokestep


class Net(nn.Module):
    dtype: jnp.dtype
    param_dtype: jnp.dtype

    @nn.compact
    def __call__(self, x):
        kinds = {"dtype": self.dtype, "param_dtype": self.param_dtype, "bias_init": nn.initializers.constant(0.1)}
        return nn.Dense(1, **kinds)(nn.tanh(nn.Dense(16, **kinds)(x)))


def network(x, **kinds):
    model = Net(**kinds)
    params = model.init(jax.random.key(0), x)["params"]
    return model, jax.tree.map(lambda p: jnp.where(p < 0, jnp.minimum(p, -0.1), jnp.maximum(p, 0.1)), params)


def training(param_dtype):
    x, y = jax.random.normal(jax.random.key(1), (16, 8)), jax.random.normal(jax.random.key(2), (16, 1))
    model, params = network(x, dtype=jnp.bfloat16, param_dtype=param_dtype)
    optimizer = optax.adam(1e-5)

    @jax.jit
    def step(params, opt_state, batch):
        x, y = batch

        def loss_fn(params):
            return jnp.mean((model.apply({"params": params}, x).astype(jnp.float32) - y) ** 2)

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = optimizer.update(grads, opt_state)  # BUG: lost-update Dense_0.*, Dense_1.*
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, (x, y), state=(params, optimizer.init(params)))


def buggy():
    return training(jnp.bfloat16)


def fixed():
    return training(jnp.float32)
