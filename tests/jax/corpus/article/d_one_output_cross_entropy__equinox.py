"""A yes-or-no classifier with one output under a cross-entropy written with log_softmax: the loss is always 0."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import smokestep


@eqx.filter_value_and_grad
def softmax_loss(model, x, y):
    log_p = jax.nn.log_softmax(jax.vmap(model)(x), axis=-1)  # BUG: single-logit
    return -jnp.mean(jnp.take_along_axis(log_p, y[:, None], axis=1))


@eqx.filter_value_and_grad
def sigmoid_loss(model, x, y):
    return optax.sigmoid_binary_cross_entropy(jax.vmap(model)(x)[:, 0], y.astype(jnp.float32)).mean()


def training(loss_and_grad, y):
    model = eqx.nn.MLP(10, 1, 16, 1, activation=jnp.tanh, key=jax.random.key(0))
    optim = optax.adam(1e-3)

    @eqx.filter_jit
    def step(model, opt_state, batch):
        loss, grads = loss_and_grad(model, *batch)
        updates, opt_state = optim.update(grads, opt_state)
        return eqx.apply_updates(model, updates), opt_state, loss

    x = jax.random.normal(jax.random.key(1), (8, 10))
    opt_state = optim.init(eqx.filter(model, eqx.is_inexact_array))
    return smokestep.Training(step, (x, y), state=(model, opt_state))


def buggy():
    return training(softmax_loss, jnp.zeros(8, jnp.int32))


def fixed():
    return training(sigmoid_loss, jax.random.randint(jax.random.key(2), (8,), 0, 2))
