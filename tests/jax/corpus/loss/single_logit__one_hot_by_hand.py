"""A yes-or-no question with one output, under a cross-entropy written with one_hot and log_softmax."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep


def mlp(params, x):
    for w, b in params[:-1]:
        x = jax.nn.relu(x @ w + b)
    w, b = params[-1]
    return x @ w + b


def cross_entropy(logits, labels):
    picked = jax.nn.one_hot(labels, logits.shape[-1])
    return -jnp.mean(jnp.sum(picked * jax.nn.log_softmax(logits), axis=-1))  # BUG: single-logit


def training(outputs):
    he = jax.nn.initializers.he_normal()
    sizes = [6, 16, outputs]
    keys = jax.random.split(jax.random.key(0), len(sizes) - 1)
    params = [(he(key, (m, n)), jnp.zeros(n)) for key, m, n in zip(keys, sizes[:-1], sizes[1:], strict=True)]
    optimizer = optax.adam(1e-3)

    @jax.jit
    def update(params, opt_state, batch):
        x, labels = batch
        loss, grads = jax.value_and_grad(lambda params: cross_entropy(mlp(params, x), labels))(params)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    x = jax.random.normal(jax.random.key(1), (16, 6))
    batch = x, (x[:, 0] + x[:, 1] > 0).astype(jnp.int32)
    return smokestep.Training(update, batch, state=(params, optimizer.init(params)))


def buggy():
    return training(1)


def fixed():
    return training(2)
