"""The module is split for jax.jit, its parameters are updated, and they are never put back into the module."""

from __future__ import annotations

import jax
import optax
from flax import nnx

import smokestep


def parts():
    rngs = nnx.Rngs(0)
    model = nnx.Sequential(nnx.Linear(6, 16, rngs=rngs), nnx.tanh, nnx.Linear(16, 3, rngs=rngs))
    batch = jax.random.normal(jax.random.key(1), (8, 6)), jax.random.randint(jax.random.key(2), (8,), 0, 3)
    graphdef, _ = nnx.split(model)

    @jax.jit
    def updated(params, batch):
        x, y = batch

        def loss_fn(params):
            logits = nnx.merge(graphdef, params)(x)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        loss, grads = jax.value_and_grad(loss_fn)(params)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), loss  # BUG: unapplied-update

    return model, updated, batch


def buggy():
    model, updated, batch = parts()

    def step(batch):
        params, loss = updated(nnx.state(model), batch)
        return loss

    return smokestep.Training(step, batch, model=model)


def fixed():
    model, updated, batch = parts()

    def step(batch):
        params, loss = updated(nnx.state(model), batch)
        nnx.update(model, params)
        return loss

    return smokestep.Training(step, batch, model=model)
