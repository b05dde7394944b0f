"""A network that ends in a softmax, and a loss that takes log_softmax of what it says and picks the labels' entries."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Classifier(nnx.Module):
    def __init__(self, final, rngs):
        self.hidden = nnx.Linear(8, 24, rngs=rngs)
        self.out = nnx.Linear(24, 5, rngs=rngs)
        self.final = final

    def __call__(self, x):
        x = nnx.relu(self.hidden(x))
        return self.final(self.out(x))


def loss_fn(model, x, labels):
    log_probs = jax.nn.log_softmax(model(x), axis=-1)
    return -jnp.take_along_axis(log_probs, labels[:, None], axis=-1).mean()


def training(final):
    model = Classifier(final, nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def train_step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, *batch)
        optimizer.update(model, grads)
        return loss

    batch = jax.random.normal(jax.random.key(1), (12, 8)), jax.random.randint(jax.random.key(2), (12,), 0, 5)
    return smokestep.Training(train_step, batch, state=(model, optimizer))


def probabilities(scores):
    return nnx.softmax(scores, axis=-1)  # BUG: double-softmax


def buggy():
    return training(probabilities)


def fixed():
    return training(lambda scores: scores)
