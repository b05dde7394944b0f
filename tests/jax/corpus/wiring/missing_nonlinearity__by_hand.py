"""A network written by hand, for each sample: an activation was left out between two of its layers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep


def without(params, x):
    h = jnp.dot(params["first"]["w"], x) + params["first"]["b"]
    h = jnp.dot(params["second"]["w"], h) + params["second"]["b"]  # BUG?: missing-nonlinearity first, second
    return jnp.dot(params["third"]["w"], jax.nn.relu(h)) + params["third"]["b"]


def bent(params, x):
    h = jax.nn.relu(jnp.dot(params["first"]["w"], x) + params["first"]["b"])
    h = jnp.dot(params["second"]["w"], h) + params["second"]["b"]
    return jnp.dot(params["third"]["w"], jax.nn.relu(h)) + params["third"]["b"]


def build(net):
    keys = jax.random.split(jax.random.key(0), 4)
    sizes = {"first": (6, 16), "second": (16, 16), "third": (16, 2)}
    params = {
        name: {"w": jax.random.normal(key, (wide, given)) / given**0.5, "b": jnp.zeros(wide)}
        for key, (name, (given, wide)) in zip(keys, sizes.items(), strict=False)
    }

    optimizer = optax.sgd(0.05, momentum=0.9)

    @jax.jit
    def step(params, opt_state, batch):
        def loss_fn(params, x, y):
            return jnp.mean((jax.vmap(net, (None, 0))(params, x) - y) ** 2)

        loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    x = jax.random.normal(keys[3], (12, 6))
    return smokestep.Training(step, (x, jnp.tanh(x[:, :2])), state=(params, optimizer.init(params)))


def buggy():
    return build(without)


def fixed():
    return build(bent)
