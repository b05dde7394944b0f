"""Batch normalization in inference mode: the module takes `train`, and its default is the one for evaluation."""

from __future__ import annotations

import flax.linen as nn
import jax
import optax

import smokestep


class Net(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Dense(16)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))  # BUG: inference-normalization
        return nn.Dense(3)(x)


def training(**mode):
    model = Net()
    x = 2 * jax.random.normal(jax.random.key(0), (16, 12)) + 1
    y = jax.random.randint(jax.random.key(1), (16,), 0, 3)
    variables = model.init(jax.random.key(2), x)
    optimizer = optax.sgd(0.05)

    @jax.jit
    def step(params, batch_stats, opt_state, batch):
        x, y = batch

        def loss_fn(params):
            both = {"params": params, "batch_stats": batch_stats}
            logits, changed = model.apply(both, x, mutable=["batch_stats"], **mode)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), changed["batch_stats"]

        (loss, new_stats), grads = jax.value_and_grad(loss_fn, has_aux=True)(params)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), new_stats, opt_state, loss

    params = variables["params"]
    return smokestep.Training(step, (x, y), state=(params, variables["batch_stats"], optimizer.init(params)))


def buggy():
    return training()


def fixed():
    return training(train=True)
