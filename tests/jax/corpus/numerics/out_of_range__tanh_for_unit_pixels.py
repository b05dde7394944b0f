"""A decoder that ends in a tanh for pixels between 0 and 1: half of its range are no pixels."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import smokestep


class Decoder(eqx.Module):
    first: eqx.nn.Linear
    last: eqx.nn.Linear
    squashed: bool = eqx.field(static=True)

    def __init__(self, squashed, key):
        a, b = jax.random.split(key)
        self.first, self.last = eqx.nn.Linear(3, 16, key=a), eqx.nn.Linear(16, 8, key=b)
        self.squashed = squashed

    def __call__(self, z):
        h = self.last(jax.nn.relu(self.first(z)))
        return jax.nn.sigmoid(h) if self.squashed else jnp.tanh(h)  # BUG: out-of-range


def training(squashed):
    model = Decoder(squashed, jax.random.key(0))
    optim = optax.adam(1e-3)

    @eqx.filter_jit
    def step(model, opt_state, batch):
        z, pixels = batch

        @eqx.filter_value_and_grad
        def compute_loss(model):
            return jnp.mean((jax.vmap(model)(z) - pixels) ** 2)

        loss, grads = compute_loss(model)
        updates, opt_state = optim.update(grads, opt_state)
        return eqx.apply_updates(model, updates), opt_state, loss

    batch = jax.random.normal(jax.random.key(1), (16, 3)), jax.random.uniform(jax.random.key(2), (16, 8))
    opt_state = optim.init(eqx.filter(model, eqx.is_inexact_array))
    return smokestep.Training(step, batch, state=(model, opt_state), output_range=(0, 1))


def buggy():
    return training(squashed=False)


def fixed():
    return training(squashed=True)
