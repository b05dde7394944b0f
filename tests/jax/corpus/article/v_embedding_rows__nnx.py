"""An embedding's table behind stop_gradient gets no gradient; in a healthy one only the rows of the batch move."""

from __future__ import annotations

import jax
import optax
from flax import nnx

import smokestep


class Words(nnx.Module):
    def __init__(self, rngs):
        self.table = nnx.Embed(50, 8, rngs=rngs)
        self.out = nnx.Linear(8, 2, rngs=rngs)


class StoppedWords(Words):
    def __call__(self, ids):
        vectors = jax.lax.stop_gradient(self.table(ids))  # BUG: gradient-cut table.embedding
        return self.out(vectors.mean(axis=1))


class LookedUpWords(Words):
    def __call__(self, ids):
        vectors = self.table(ids)
        return self.out(vectors.mean(axis=1))


def training(model):
    optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        ids, labels = batch

        def loss_fn(model):
            return optax.softmax_cross_entropy_with_integer_labels(model(ids), labels).mean()

        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)
        return loss

    ids = jax.random.randint(jax.random.key(1), (6, 5), 0, 10)
    labels = jax.random.randint(jax.random.key(2), (6,), 0, 2)
    return smokestep.Training(step, (ids, labels), state=(model, optimizer))


def buggy():
    return training(StoppedWords(nnx.Rngs(0)))


def fixed():
    return training(LookedUpWords(nnx.Rngs(0)))
