"""vmap over the features of a batch that has as many as samples: each output is made of one number of every sample."""

from __future__ import annotations

import equinox as eqx
import jax
import optax

import smokestep


def training(in_axes):
    model = eqx.nn.MLP(8, 3, 16, 1, key=jax.random.key(0))
    optim = optax.adam(1e-3)

    @eqx.filter_value_and_grad
    def compute_loss(model, x, y):
        logits = jax.vmap(model, in_axes=in_axes)(x)  # BUG?: batch-leak
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    @eqx.filter_jit
    def step(model, opt_state, batch):
        loss, grads = compute_loss(model, *batch)
        updates, opt_state = optim.update(grads, opt_state)
        return eqx.apply_updates(model, updates), opt_state, loss

    batch = jax.random.normal(jax.random.key(1), (8, 8)), jax.random.randint(jax.random.key(2), (8,), 0, 3)
    return smokestep.Training(step, batch, state=(model, optim.init(eqx.filter(model, eqx.is_inexact_array))))


def buggy():
    return training(in_axes=1)


def fixed():
    return training(in_axes=0)
