"""An Equinox model switched to inference for a first score, and trained as it is."""

from __future__ import annotations

import equinox as eqx
import jax
import optax

import smokestep


class Net(eqx.Module):
    first: eqx.nn.Linear
    drop: eqx.nn.Dropout
    last: eqx.nn.Linear

    def __init__(self, key):
        a, b = jax.random.split(key)
        self.first, self.last = eqx.nn.Linear(6, 32, key=a), eqx.nn.Linear(32, 3, key=b)
        self.drop = eqx.nn.Dropout(0.5)

    def __call__(self, x, key):
        h = self.drop(jax.nn.relu(self.first(x)), key=key)
        return self.last(h)


def training(inference):
    model = eqx.nn.inference_mode(Net(jax.random.key(0)), value=inference)
    optim = optax.adam(1e-3)

    @eqx.filter_value_and_grad
    def compute_loss(model, x, y, key):
        logits = jax.vmap(model)(x, jax.random.split(key, len(x)))  # BUG?: trained-in-eval
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    @eqx.filter_jit
    def step(model, opt_state, key, batch):
        x, y = batch
        key, now = jax.random.split(key)
        loss, grads = compute_loss(model, x, y, now)
        updates, opt_state = optim.update(grads, opt_state)
        return eqx.apply_updates(model, updates), opt_state, key, loss

    batch = jax.random.normal(jax.random.key(1), (8, 6)), jax.random.randint(jax.random.key(2), (8,), 0, 3)
    opt_state = optim.init(eqx.filter(model, eqx.is_inexact_array))
    return smokestep.Training(step, batch, state=(model, opt_state, jax.random.key(3)))


def buggy():
    return training(inference=True)


def fixed():
    return training(inference=False)
