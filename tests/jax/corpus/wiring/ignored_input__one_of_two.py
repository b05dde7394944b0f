"""The condition is handed to the network, embedded there, and left out of the sum."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import smokestep


class Conditional(eqx.Module):
    inner: eqx.nn.Linear
    condition: eqx.nn.Linear
    outer: eqx.nn.Linear
    used: bool = eqx.field(static=True)

    def __init__(self, used, key):
        a, b, c = jax.random.split(key, 3)
        self.inner, self.condition = eqx.nn.Linear(4, 16, key=a), eqx.nn.Linear(3, 16, key=b)
        self.outer = eqx.nn.Linear(16, 4, key=c)
        self.used = used

    def __call__(self, x, c):  # BUG?: ignored-input
        h = self.inner(x)
        h = h + self.condition(c if self.used else jnp.zeros(3))
        return self.outer(jax.nn.gelu(h))


def training(used):
    model = Conditional(used, jax.random.key(0))
    optim = optax.adamw(1e-3)

    @eqx.filter_value_and_grad
    def compute_loss(model, x, c, y):
        return jnp.mean((jax.vmap(model)(x, c) - y) ** 2)

    @eqx.filter_jit
    def step(model, opt_state, batch):
        loss, grads = compute_loss(model, *batch)
        updates, opt_state = optim.update(grads, opt_state, model)
        return eqx.apply_updates(model, updates), opt_state, loss

    shapes = ((16, 4), (16, 3), (16, 4))
    batch = tuple(jax.random.normal(jax.random.key(i), shape) for i, shape in enumerate(shapes, 1))
    opt_state = optim.init(eqx.filter(model, eqx.is_inexact_array))
    return smokestep.Training(step, batch, state=(model, opt_state))


def buggy():
    return training(used=False)


def fixed():
    return training(used=True)
