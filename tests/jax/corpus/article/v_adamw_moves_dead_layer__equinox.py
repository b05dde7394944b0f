"""A layer cut off by rounding gets a gradient of exactly 0, and AdamW's decay moves it all the same."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import smokestep


class Quantised(eqx.Module):
    encoder: eqx.nn.Linear
    decoder: eqx.nn.Linear

    def __init__(self, key):
        a, b = jax.random.split(key)
        self.encoder, self.decoder = eqx.nn.Linear(6, 12, key=a), eqx.nn.Linear(12, 3, key=b)

    def __call__(self, x):
        codes = jnp.round(4 * self.encoder(x))  # BUG: gradient-cut encoder.weight, encoder.bias
        return self.decoder(codes / 4)


class StraightThrough(Quantised):
    def __call__(self, x):
        exact = 4 * self.encoder(x)
        codes = exact + jax.lax.stop_gradient(jnp.round(exact) - exact)
        return self.decoder(codes / 4)


def training(model):
    optim = optax.adamw(1e-2, weight_decay=0.1)

    @eqx.filter_value_and_grad
    def compute_loss(model, x, y):
        return optax.softmax_cross_entropy_with_integer_labels(jax.vmap(model)(x), y).mean()

    @eqx.filter_jit
    def step(model, opt_state, batch):
        loss, grads = compute_loss(model, *batch)
        updates, opt_state = optim.update(grads, opt_state, eqx.filter(model, eqx.is_inexact_array))
        return eqx.apply_updates(model, updates), opt_state, loss

    x, y = jax.random.normal(jax.random.key(1), (16, 6)), jax.random.randint(jax.random.key(2), (16,), 0, 3)
    return smokestep.Training(step, (x, y), state=(model, optim.init(eqx.filter(model, eqx.is_inexact_array))))


def buggy():
    return training(Quantised(jax.random.key(0)))


def fixed():
    return training(StraightThrough(jax.random.key(0)))
