"""The output layer is given the table of the embedding, turned: a copy that trains on by itself."""

from __future__ import annotations

import jax
import optax
from flax import nnx

import smokestep


class Model(nnx.Module):
    def __init__(self, rngs):
        self.embed = nnx.Embed(30, 12, rngs=rngs)
        self.mix = nnx.Linear(12, 12, rngs=rngs)

    def hidden(self, ids):
        return nnx.tanh(self.mix(self.embed(ids)))


class Copied(Model):
    def __init__(self, rngs):
        super().__init__(rngs)
        self.head = nnx.Linear(12, 30, use_bias=False, rngs=rngs)
        self.head.kernel = nnx.Param(self.embed.embedding[...].T)

    def __call__(self, ids):
        return self.head(self.hidden(ids))  # BUG?: untied-weights head.kernel


class Shared(Model):
    def __call__(self, ids):
        return self.embed.attend(self.hidden(ids))


def loss_fn(model, ids):
    return optax.softmax_cross_entropy_with_integer_labels(model(ids[:, :-1]), ids[:, 1:]).mean()


def build(kind):
    model = kind(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adamw(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, ids):
        loss, grads = nnx.value_and_grad(loss_fn)(model, ids)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(step, jax.random.randint(jax.random.key(1), (4, 9), 0, 30), state=(model, optimizer))


def buggy():
    return build(Copied)


def fixed():
    return build(Shared)
