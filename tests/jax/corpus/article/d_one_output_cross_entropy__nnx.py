"""A yes-or-no classifier with one output under softmax cross-entropy: the loss is 0 whatever the network says."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Classifier(nnx.Module):
    def __init__(self, rngs):
        self.hidden = nnx.Linear(10, 16, rngs=rngs)
        self.out = nnx.Linear(16, 1, rngs=rngs)

    def __call__(self, x):
        return self.out(nnx.tanh(self.hidden(x)))


def softmax_loss(model, x, y):
    return optax.softmax_cross_entropy(model(x), jax.nn.one_hot(y, 1)).mean()  # BUG: single-logit


def sigmoid_loss(model, x, y):
    return optax.sigmoid_binary_cross_entropy(model(x)[:, 0], y.astype(jnp.float32)).mean()


def training(loss_fn, y):
    model = Classifier(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, *batch)
        optimizer.update(model, grads)
        return loss

    x = jax.random.normal(jax.random.key(1), (8, 10))
    return smokestep.Training(step, (x, y), state=(model, optimizer))


def buggy():
    return training(softmax_loss, jnp.zeros(8, jnp.int32))


def fixed():
    return training(sigmoid_loss, jax.random.randint(jax.random.key(2), (8,), 0, 2))
