"""Batch normalization in inference mode: the layer is told in its call to use the stored statistics."""

from __future__ import annotations

import equinox as eqx
import jax
import optax

import smokestep


class Net(eqx.Module):
    first: eqx.nn.Linear
    norm: eqx.nn.BatchNorm
    last: eqx.nn.Linear

    def __init__(self, key):
        a, b = jax.random.split(key)
        self.first, self.last = eqx.nn.Linear(12, 16, key=a), eqx.nn.Linear(16, 3, key=b)
        self.norm = eqx.nn.BatchNorm(16, axis_name="batch", mode="batch")


class Stored(Net):
    def __call__(self, x, state):
        x, state = self.norm(self.first(x), state, inference=True)  # BUG: inference-normalization
        return self.last(jax.nn.relu(x)), state


class Computed(Net):
    def __call__(self, x, state):
        x, state = self.norm(self.first(x), state, inference=False)
        return self.last(jax.nn.relu(x)), state


def training(net):
    model, state = eqx.nn.make_with_state(net)(jax.random.key(2))
    optim = optax.sgd(0.05)

    def compute_loss(model, state, x, y):
        batched = jax.vmap(model, axis_name="batch", in_axes=(0, None), out_axes=(0, None))
        logits, state = batched(x, state)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), state

    @eqx.filter_jit
    def step(model, state, opt_state, batch):
        (loss, state), grads = eqx.filter_value_and_grad(compute_loss, has_aux=True)(model, state, *batch)
        updates, opt_state = optim.update(grads, opt_state)
        return eqx.apply_updates(model, updates), state, opt_state, loss

    x = 2 * jax.random.normal(jax.random.key(0), (16, 12)) + 1
    y = jax.random.randint(jax.random.key(1), (16,), 0, 3)
    opt_state = optim.init(eqx.filter(model, eqx.is_inexact_array))
    return smokestep.Training(step, (x, y), state=(model, state, opt_state))


def buggy():
    return training(Stored)


def fixed():
    return training(Computed)
