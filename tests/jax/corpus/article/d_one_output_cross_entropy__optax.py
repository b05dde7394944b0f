"""A yes-or-no classifier with one output under softmax cross-entropy: the loss is 0 whatever the network says."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep


def init(key):
    a, b = jax.random.split(key)
    lecun = jax.nn.initializers.lecun_normal()
    return {
        "hidden": {"w": lecun(a, (10, 16)), "b": jnp.zeros(16)},
        "out": {"w": lecun(b, (16, 1)), "b": jnp.zeros(1)},
    }


def classifier(params, x):
    h = jnp.tanh(x @ params["hidden"]["w"] + params["hidden"]["b"])
    return h @ params["out"]["w"] + params["out"]["b"]


def softmax_loss(params, x, y):
    logits = classifier(params, x)
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()  # BUG: single-logit


def sigmoid_loss(params, x, y):
    logits = classifier(params, x)[:, 0]
    return optax.sigmoid_binary_cross_entropy(logits, y.astype(jnp.float32)).mean()


def training(loss_fn, y):
    params = init(jax.random.key(0))
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    x = jax.random.normal(jax.random.key(1), (8, 10))
    return smokestep.Training(step, (x, y), state=(params, optimizer.init(params)))


def buggy():
    return training(softmax_loss, jnp.zeros(8, jnp.int32))


def fixed():
    return training(sigmoid_loss, jax.random.randint(jax.random.key(2), (8,), 0, 2))
