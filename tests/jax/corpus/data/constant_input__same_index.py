"""The index of the loop is not used: every sample of the batch is the first one, with the label of another."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import smokestep


class Net(nnx.Module):
    def __init__(self, rngs):
        self.first, self.last = nnx.Linear(6, 16, rngs=rngs), nnx.Linear(16, 3, rngs=rngs)

    def __call__(self, x):
        return self.last(nnx.relu(self.first(x)))


def training(collate):
    samples = np.random.default_rng(0).normal(size=(32, 6)).astype(np.float32)
    labels = np.random.default_rng(1).integers(0, 3, 32)
    model = Net(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def train_step(model, optimizer, x, y):
        def loss_fn(model):
            logits = model(x)  # BUG?: constant-input
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)
        return loss

    def step(model, optimizer):
        chosen = np.random.default_rng(2).permutation(32)[:8]
        x, y = collate(samples, chosen), labels[chosen]
        return train_step(model, optimizer, jnp.asarray(x), jnp.asarray(y))

    return smokestep.Training(step, state=(model, optimizer))


def buggy():
    return training(lambda samples, chosen: np.stack([samples[chosen[0]] for _ in chosen]))


def fixed():
    return training(lambda samples, chosen: np.stack([samples[index] for index in chosen]))
