"""One output under softmax cross-entropy again, with weight decay, in an object that keeps model and optimizer."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Trainer:
    def __init__(self, outputs, labels):
        rngs = nnx.Rngs(0)
        self.model = nnx.Sequential(nnx.Linear(10, 16, rngs=rngs), nnx.relu, nnx.Linear(16, outputs, rngs=rngs))
        self.optimizer = nnx.Optimizer(self.model, optax.adamw(1e-2, weight_decay=0.1), wrt=nnx.Param)
        self.labels = labels

    def loss(self, model, x):
        logits = model(x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, self.labels).mean()  # BUG: single-logit

    def training_step(self, x):
        loss, grads = nnx.value_and_grad(self.loss)(self.model, x)
        self.optimizer.update(self.model, grads)
        return float(loss)


def buggy():
    trainer = Trainer(1, jnp.zeros(8, jnp.int32))
    return smokestep.Training(trainer.training_step, jax.random.normal(jax.random.key(1), (8, 10)))


def fixed():
    trainer = Trainer(2, jax.random.randint(jax.random.key(2), (8,), 0, 2))
    return smokestep.Training(trainer.training_step, jax.random.normal(jax.random.key(1), (8, 10)))
