"""A warm-up that divides whole numbers, as a transformation of its own in the chain, stays at 0."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import smokestep

WARMUP = 1000


def training(factor):
    model = eqx.nn.MLP(6, 3, 12, 1, key=jax.random.key(0))
    optim = optax.chain(
        optax.scale_by_adam(),
        optax.scale_by_schedule(lambda count: -1e-3 * factor(count)),
    )

    @eqx.filter_value_and_grad
    def compute_loss(model, x, y):
        return optax.softmax_cross_entropy_with_integer_labels(jax.vmap(model)(x), y).mean()

    @eqx.filter_jit
    def step(model, opt_state, batch):
        loss, grads = compute_loss(model, *batch)
        updates, opt_state = optim.update(grads, opt_state)  # BUG: zero-learning-rate
        return eqx.apply_updates(model, updates), opt_state, loss

    x, y = jax.random.normal(jax.random.key(1), (8, 6)), jax.random.randint(jax.random.key(2), (8,), 0, 3)
    return smokestep.Training(step, (x, y), state=(model, optim.init(eqx.filter(model, eqx.is_inexact_array))))


def buggy():
    return training(lambda count: count // WARMUP)


def fixed():
    return training(lambda count: jnp.minimum(count / WARMUP, 1.0))
