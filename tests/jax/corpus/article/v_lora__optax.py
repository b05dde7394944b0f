"""LoRA with both factors zero never trains, while the head does; with one of them random, that one moves only later."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep


def training(a_init):
    base_key, a_key, head_key = jax.random.split(jax.random.key(0), 3)
    lecun = jax.nn.initializers.lecun_normal()
    base = lecun(base_key, (8, 16))
    params = {
        "a": a_init(a_key, (8, 2)),
        "b": jnp.zeros((2, 16)),
        "head": lecun(head_key, (16, 3)),
    }
    optimizer = optax.adam(1e-2)

    def model(params, x):
        h = x @ base + x @ params["a"] @ params["b"]  # BUG: zero-product a, b
        return jnp.tanh(h) @ params["head"]

    @jax.jit
    def step(params, opt_state, batch):
        x, y = batch

        def loss_fn(params):
            return optax.softmax_cross_entropy_with_integer_labels(model(params, x), y).mean()

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    x, y = jax.random.normal(jax.random.key(1), (16, 8)), jax.random.randint(jax.random.key(2), (16,), 0, 3)
    return smokestep.Training(step, (x, y), state=(params, optimizer.init(params)))


def buggy():
    return training(jax.nn.initializers.zeros)


def fixed():
    return training(jax.nn.initializers.normal(1.0))
