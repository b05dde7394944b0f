"""A critic's (N, 1) values under Optax's Huber loss, which stretches returns of shape (N,) beside them."""

from __future__ import annotations

import equinox as eqx
import jax
import optax

import smokestep


def training(loss_of):
    critic = eqx.nn.MLP(4, 1, 16, 1, key=jax.random.key(0))
    optimizer = optax.chain(optax.clip_by_global_norm(10.0), optax.adam(3e-3))
    opt_state = optimizer.init(eqx.filter(critic, eqx.is_inexact_array))

    @eqx.filter_jit
    def step(critic, opt_state, batch):
        states, returns = batch

        def loss_fn(critic):
            return loss_of(jax.vmap(critic)(states), returns)

        loss, grads = eqx.filter_value_and_grad(loss_fn)(critic)
        updates, opt_state = optimizer.update(grads, opt_state, critic)
        return eqx.apply_updates(critic, updates), opt_state, loss

    batch = jax.random.normal(jax.random.key(1), (10, 4)), jax.random.normal(jax.random.key(2), (10,))
    return smokestep.Training(step, batch, state=(critic, opt_state))


def buggy():
    def loss_of(values, returns):
        return optax.huber_loss(values, returns).mean()  # BUG: broadcast-loss

    return training(loss_of)


def fixed():
    def loss_of(values, returns):
        return optax.huber_loss(values[:, 0], returns).mean()

    return training(loss_of)
