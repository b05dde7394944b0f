"""A network that ends in a softmax over its single unit, with log and negative log-likelihood by hand."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

import smokestep


class Net(nn.Module):
    outputs: int

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(12)(x))
        return nn.softmax(nn.Dense(self.outputs)(x))  # BUG: single-logit


def nll(probabilities, labels):
    return -jnp.log(probabilities[jnp.arange(len(labels)), labels]).mean()


def training(outputs, labels):
    net = Net(outputs)
    x = jax.random.normal(jax.random.key(0), (8, 6))
    params = net.init(jax.random.key(1), x)
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, batch):
        x, labels = batch
        loss, grads = jax.value_and_grad(lambda p: nll(net.apply(p, x), labels))(params)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    return smokestep.Training(step, (x, labels), state=(params, optimizer.init(params)))


def buggy():
    return training(1, jnp.zeros(8, jnp.int32))


def fixed():
    return training(2, jax.random.randint(jax.random.key(2), (8,), 0, 2))
