"""The name of the labels is used again for the predictions: the network agrees with itself, more and more."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep


def model(params, x):
    return jnp.tanh(x @ params["w1"]) @ params["w2"]


def entangled(params, batch):
    x, y = batch
    logits = model(params, x)
    y = jnp.argmax(logits, axis=-1)
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()  # BUG?: ignored-target


def compared(params, batch):
    x, y = batch
    logits = model(params, x)
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def training(loss_fn):
    lecun = jax.nn.initializers.lecun_normal()
    params = {"w1": lecun(jax.random.key(0), (6, 16)), "w2": lecun(jax.random.key(1), (16, 3))}
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    labels = jax.random.randint(jax.random.key(3), (8,), 0, 3)
    batch = jax.random.normal(jax.random.key(2), (8, 6)), labels
    return smokestep.Training(step, batch, state=(params, optimizer.init(params)))


def buggy():
    return training(entangled)


def fixed():
    return training(compared)
