"""Gradients of four micro-batches are added up before an update; a trainer class holds the state."""

import sys

import jax
import jax.numpy as jnp
import optax

BUGGY = "buggy" in sys.argv


class Trainer:
    def __init__(self, key):
        a, b = jax.random.split(key)
        self.params = {"w1": jax.random.normal(a, (5, 12)) * 0.6, "w2": jax.random.normal(b, (12, 3)) * 0.4}
        self.tx = optax.adamw(1e-3)
        self.opt_state = self.tx.init(self.params)
        self.grad = jax.jit(jax.value_and_grad(self.loss))

    @staticmethod
    def loss(params, x, y):
        logits = jax.nn.relu(x @ params["w1"]) @ params["w2"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    def train_step(self, batches):
        total, summed = 0.0, jax.tree.map(jnp.zeros_like, self.params)
        for x, y in batches:
            loss, grads = self.grad(self.params, x, y)
            summed = jax.tree.map(jnp.add, summed, grads)
            total += float(loss)
        grads = jax.tree.map(lambda g: g / len(batches), summed)
        updates, self.opt_state = self.tx.update(grads, self.opt_state, self.params)
        if BUGGY:
            optax.apply_updates(self.params, updates)  # BUG: unapplied-update
        else:
            self.params = optax.apply_updates(self.params, updates)
        return total / len(batches)


trainer = Trainer(jax.random.key(0))
x = jax.random.normal(jax.random.key(1), (4, 8, 5))
y = jax.random.randint(jax.random.key(2), (4, 8), 0, 3)
for step in range(6):
    print(step, trainer.train_step(list(zip(x, y, strict=True))))
