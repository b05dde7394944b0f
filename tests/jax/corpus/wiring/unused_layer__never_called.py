"""A residual block builds a second layer, and its call never comes to it."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import smokestep


class Shallow(eqx.Module):
    project: eqx.nn.Linear
    expand: eqx.nn.Linear
    head: eqx.nn.Linear

    def __init__(self, key):
        first, second, third = jax.random.split(key, 3)
        self.project = eqx.nn.Linear(6, 16, key=first)
        self.expand = eqx.nn.Linear(16, 16, key=second)  # BUG: unused-layer *expand*
        self.head = eqx.nn.Linear(16, 2, key=third)

    def __call__(self, x):
        h = jax.nn.gelu(self.project(x))
        return self.head(h)


class Deep(eqx.Module):
    project: eqx.nn.Linear
    widen: eqx.nn.Linear
    head: eqx.nn.Linear

    def __init__(self, key):
        first, second, third = jax.random.split(key, 3)
        self.project = eqx.nn.Linear(6, 16, key=first)
        self.widen = eqx.nn.Linear(16, 16, key=second)
        self.head = eqx.nn.Linear(16, 2, key=third)

    def __call__(self, x):
        h = jax.nn.gelu(self.project(x))
        return self.head(h + jax.nn.gelu(self.widen(h)))


def trained(model):
    optimizer = optax.adamw(1e-3)

    def loss_fn(model, x, y):
        return optax.softmax_cross_entropy_with_integer_labels(jax.vmap(model)(x), y).mean()

    @eqx.filter_jit
    def step(model, opt_state, batch):
        loss, grads = eqx.filter_value_and_grad(loss_fn)(model, *batch)
        updates, opt_state = optimizer.update(grads, opt_state, eqx.filter(model, eqx.is_array))
        return eqx.apply_updates(model, updates), opt_state, loss

    batch = (jax.random.normal(jax.random.key(2), (16, 6)), jnp.arange(16) % 2)
    return smokestep.Training(step, batch, state=(model, optimizer.init(eqx.filter(model, eqx.is_array))))


def buggy():
    return trained(Shallow(jax.random.key(0)))


def fixed():
    return trained(Deep(jax.random.key(0)))
