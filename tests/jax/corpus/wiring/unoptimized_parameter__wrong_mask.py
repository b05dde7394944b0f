"""A mask that is True where the update is to be made zero, written as if it were True where it is to be made."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep


def model(params, x):
    h = jax.nn.relu(x @ params["body"]["w1"])
    h = jax.nn.relu(h @ params["body"]["w2"])
    return h @ params["head"]["w"] + params["head"]["b"]


def init():
    he = jax.nn.initializers.he_normal()
    body = {"w1": he(jax.random.key(0), (6, 16)), "w2": he(jax.random.key(1), (16, 16))}
    return {"body": body, "head": {"w": he(jax.random.key(2), (16, 3)), "b": jnp.zeros(3)}}


def training(freeze):
    params = init()
    mask = {"body": False, "head": freeze}
    optimizer = optax.chain(optax.adam(1e-3), optax.masked(optax.set_to_zero(), mask))

    def loss_fn(params, x, y):
        return optax.softmax_cross_entropy_with_integer_labels(model(params, x), y).mean()

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
        updates, opt_state = optimizer.update(grads, opt_state)  # BUG: unoptimized-parameter head.w, head.b
        return optax.apply_updates(params, updates), opt_state, loss

    batch = jax.random.normal(jax.random.key(3), (8, 6)), jax.random.randint(jax.random.key(4), (8,), 0, 3)
    return smokestep.Training(step, batch, state=(params, optimizer.init(params)))


def buggy():
    return training(freeze=True)


def fixed():
    return training(freeze=False)
