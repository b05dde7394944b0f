"""Batch normalization in inference mode: the model was put in eval mode to print a baseline, and then trained."""

from __future__ import annotations

import jax
import optax
from flax import nnx

import smokestep


def build():
    rngs = nnx.Rngs(0)
    return nnx.Sequential(
        nnx.Conv(1, 6, (3, 3), rngs=rngs),
        nnx.BatchNorm(6, rngs=rngs),
        nnx.relu,
        lambda x: x.mean(axis=(1, 2)),
        nnx.Linear(6, 3, rngs=rngs),
    )


def training(model):
    optimizer = nnx.Optimizer(model, optax.sgd(0.1, momentum=0.9), wrt=nnx.Param)
    images = 2 * jax.random.normal(jax.random.key(1), (8, 8, 8, 1)) + 1
    labels = jax.random.randint(jax.random.key(2), (8,), 0, 3)

    @nnx.jit
    def train_step(model, optimizer, images, labels):
        def loss_fn(model):
            logits = model(images)  # BUG: inference-normalization layers.1
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

        optimizer.update(model, nnx.grad(loss_fn)(model))

    return smokestep.Training(lambda batch: train_step(model, optimizer, *batch), (images, labels), model=model)


def buggy():
    model = build()
    model.eval()
    model(jax.random.normal(jax.random.key(3), (2, 8, 8, 1)))
    return training(model)


def fixed():
    model = build()
    model.eval()
    model(jax.random.normal(jax.random.key(3), (2, 8, 8, 1)))
    model.train()
    return training(model)
