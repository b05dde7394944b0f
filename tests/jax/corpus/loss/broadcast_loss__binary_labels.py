"""One logit a sample, (N, 1), under Optax's binary cross-entropy with labels of shape (N,), which it stretches."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Classifier(nnx.Module):
    def __init__(self, rngs):
        self.hidden = nnx.Linear(6, 24, rngs=rngs)
        self.out = nnx.Linear(24, 1, rngs=rngs)

    def __call__(self, x):
        return self.out(nnx.relu(self.hidden(x)))


def training(loss_of):
    model = Classifier(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)
    x = jax.random.normal(jax.random.key(0), (12, 6))

    @nnx.jit
    def train_step(model, optimizer, batch):
        x, labels = batch
        loss, grads = nnx.value_and_grad(lambda model: loss_of(model(x), labels))(model)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(train_step, (x, (x[:, 0] > 0).astype(jnp.float32)), state=(model, optimizer))


def buggy():
    def loss_of(logits, labels):
        return optax.sigmoid_binary_cross_entropy(logits, labels).mean()  # BUG: broadcast-loss

    return training(loss_of)


def fixed():
    def loss_of(logits, labels):
        return optax.sigmoid_binary_cross_entropy(logits, labels[:, None]).mean()

    return training(loss_of)
