"""The learning rate is a number outside of the compiled step, which the loop lowers: the step keeps the first one."""

from __future__ import annotations

import jax
import jax.numpy as jnp

import smokestep


def build(read):
    rate = {"now": 0.1}

    @jax.jit  # BUG?: compiled-mismatch
    def update(params, given, x, y):
        def loss_fn(params):
            return jnp.mean((jnp.tanh(x @ params["w"]) - y) ** 2)

        loss, grads = jax.value_and_grad(loss_fn)(params)
        return jax.tree.map(lambda p, g: p - read(rate, given) * g, params, grads), loss

    params = {"w": 0.5 * jax.random.normal(jax.random.key(0), (4, 2))}
    x = jax.random.normal(jax.random.key(1), (8, 4))
    batch = x, jnp.sin(x[:, :2])
    update(params, rate["now"], *batch)  # compiles

    def step(params, batch):
        rate["now"] = 0.02
        return update(params, rate["now"], *batch)

    return smokestep.Training(step, batch, state=params)


def buggy():
    return build(lambda rate, given: rate["now"])


def fixed():
    return build(lambda rate, given: given)
