"""Batch normalization in inference mode: one module is made for evaluation, and the step trains with it."""

from __future__ import annotations

import flax.linen as nn
import jax
import optax

import smokestep


class Net(nn.Module):
    train: bool

    @nn.compact
    def __call__(self, images):
        x = nn.Conv(6, (3, 3))(images)
        x = nn.relu(nn.BatchNorm(use_running_average=not self.train)(x))  # BUG: inference-normalization BatchNorm_0
        return nn.Dense(3)(x.mean(axis=(1, 2)))


def training(train):
    images = 2 * jax.random.normal(jax.random.key(0), (8, 8, 8, 1)) + 1
    labels = jax.random.randint(jax.random.key(1), (8,), 0, 3)
    model = Net(train)
    variables = model.init(jax.random.key(2), images)
    optimizer = optax.sgd(0.1, momentum=0.9)
    evaluated = Net(train=False).apply(variables, images)
    assert evaluated.shape == (8, 3)

    @jax.jit
    def step(state, batch):
        images, labels = batch

        def loss_fn(params):
            both = {"params": params, "batch_stats": state["batch_stats"]}
            logits, changed = model.apply(both, images, mutable=["batch_stats"])
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), changed

        grads, changed = jax.grad(loss_fn, has_aux=True)(state["params"])
        updates, opt_state = optimizer.update(grads, state["opt_state"])
        params = optax.apply_updates(state["params"], updates)
        return {"params": params, "batch_stats": changed["batch_stats"], "opt_state": opt_state}

    return smokestep.Training(
        step, (images, labels), state={**variables, "opt_state": optimizer.init(variables["params"])}
    )


def buggy():
    return training(train=False)


def fixed():
    return training(train=True)
