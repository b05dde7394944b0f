"""One output under softmax cross-entropy again, with weight decay, in an object that keeps model and optimizer."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import smokestep


class Trainer:
    def __init__(self, outputs, labels):
        self.model = eqx.nn.MLP(10, outputs, 16, 1, key=jax.random.key(0))
        self.optim = optax.adamw(1e-2, weight_decay=0.1)
        self.opt_state = self.optim.init(eqx.filter(self.model, eqx.is_inexact_array))
        self.labels = labels

    def loss(self, model, x):
        logits = jax.vmap(model)(x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, self.labels).mean()  # BUG: single-logit

    def training_step(self, x):
        loss, grads = eqx.filter_value_and_grad(self.loss)(self.model, x)
        params = eqx.filter(self.model, eqx.is_inexact_array)
        updates, self.opt_state = self.optim.update(grads, self.opt_state, params)
        self.model = eqx.apply_updates(self.model, updates)
        return loss


def buggy():
    trainer = Trainer(1, jnp.zeros(8, jnp.int32))
    return smokestep.Training(trainer.training_step, jax.random.normal(jax.random.key(1), (8, 10)))


def fixed():
    trainer = Trainer(2, jax.random.randint(jax.random.key(2), (8,), 0, 2))
    return smokestep.Training(trainer.training_step, jax.random.normal(jax.random.key(1), (8, 10)))
