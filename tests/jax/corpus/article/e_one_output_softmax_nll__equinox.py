"""A network that ends in a softmax over its single unit, with log and negative log-likelihood by hand."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import smokestep


class Net(eqx.Module):
    fc1: eqx.nn.Linear
    fc2: eqx.nn.Linear

    def __init__(self, outputs, key):
        a, b = jax.random.split(key)
        self.fc1, self.fc2 = eqx.nn.Linear(6, 12, key=a), eqx.nn.Linear(12, outputs, key=b)

    def __call__(self, x):
        return jax.nn.softmax(self.fc2(jax.nn.relu(self.fc1(x))))  # BUG: single-logit


def training(outputs, labels):
    model = Net(outputs, jax.random.key(0))
    optim = optax.adam(1e-3)

    def nll(model, x, labels):
        likelihood = jax.vmap(lambda x, y: model(x)[y])(x, labels)
        return -jnp.mean(jnp.log(likelihood))

    @eqx.filter_jit
    def step(model, opt_state, batch):
        loss, grads = eqx.filter_value_and_grad(nll)(model, *batch)
        updates, opt_state = optim.update(grads, opt_state)
        return eqx.apply_updates(model, updates), opt_state, loss

    x = jax.random.normal(jax.random.key(1), (8, 6))
    opt_state = optim.init(eqx.filter(model, eqx.is_inexact_array))
    return smokestep.Training(step, (x, labels), state=(model, opt_state))


def buggy():
    return training(1, jnp.zeros(8, jnp.int32))


def fixed():
    return training(2, jax.random.randint(jax.random.key(2), (8,), 0, 2))
