"""An embedding's table behind stop_gradient gets no gradient; in a healthy one only the rows of the batch move."""

from __future__ import annotations

import equinox as eqx
import jax
import optax

import smokestep


class Words(eqx.Module):
    table: eqx.nn.Embedding
    out: eqx.nn.Linear

    def __init__(self, key):
        a, b = jax.random.split(key)
        self.table, self.out = eqx.nn.Embedding(50, 8, key=a), eqx.nn.Linear(8, 2, key=b)


class StoppedWords(Words):
    def __call__(self, ids):
        weight = jax.lax.stop_gradient(self.table.weight)  # BUG: gradient-cut table.weight
        return self.out(weight[ids].mean(axis=0))


class LookedUpWords(Words):
    def __call__(self, ids):
        return self.out(jax.vmap(self.table)(ids).mean(axis=0))


def training(model):
    optim = optax.sgd(0.1)

    @eqx.filter_value_and_grad
    def compute_loss(model, ids, labels):
        return optax.softmax_cross_entropy_with_integer_labels(jax.vmap(model)(ids), labels).mean()

    @eqx.filter_jit
    def step(model, opt_state, batch):
        loss, grads = compute_loss(model, *batch)
        updates, opt_state = optim.update(grads, opt_state)
        return eqx.apply_updates(model, updates), opt_state, loss

    ids = jax.random.randint(jax.random.key(1), (6, 5), 0, 10)
    labels = jax.random.randint(jax.random.key(2), (6,), 0, 2)
    opt_state = optim.init(eqx.filter(model, eqx.is_inexact_array))
    return smokestep.Training(step, (ids, labels), state=(model, opt_state))


def buggy():
    return training(StoppedWords(jax.random.key(0)))


def fixed():
    return training(LookedUpWords(jax.random.key(0)))
