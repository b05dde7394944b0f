"""Tied embeddings: the head begins with the values of the table, in a parameter of its own."""

from __future__ import annotations

import jax
import optax
from flax import nnx

import smokestep


class Bigram(nnx.Module):
    def __init__(self, rngs, vocabulary=11, width=8):
        self.embed = nnx.Embed(vocabulary, width, rngs=rngs)
        self.mix = nnx.Linear(width, width, rngs=rngs)


class CopiedBigram(Bigram):
    def __init__(self, rngs, vocabulary=11, width=8):
        super().__init__(rngs, vocabulary, width)
        self.head = nnx.Param(self.embed.embedding[...])

    def __call__(self, ids):
        h = nnx.tanh(self.mix(self.embed(ids)))
        return h @ self.head.T  # BUG?: untied-weights head


class TiedBigram(Bigram):
    def __call__(self, ids):
        h = nnx.tanh(self.mix(self.embed(ids)))
        return self.embed.attend(h)


def training(model):
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, ids):
        def loss_fn(model):
            logits = model(ids[:, :-1])
            return optax.softmax_cross_entropy_with_integer_labels(logits, ids[:, 1:]).mean()

        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)
        return loss

    ids = jax.random.randint(jax.random.key(1), (4, 9), 0, 11)
    return smokestep.Training(step, ids, state=(model, optimizer))


def buggy():
    return training(CopiedBigram(nnx.Rngs(0)))


def fixed():
    return training(TiedBigram(nnx.Rngs(0)))
