"""A layer cut off by rounding gets a gradient of exactly 0, and AdamW's decay moves it all the same."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Quantised(nnx.Module):
    def __init__(self, rngs):
        self.encoder = nnx.Linear(6, 12, rngs=rngs)
        self.decoder = nnx.Linear(12, 3, rngs=rngs)

    def __call__(self, x):
        codes = jnp.round(4 * self.encoder(x))  # BUG: gradient-cut encoder.kernel, encoder.bias
        return self.decoder(codes / 4)


class StraightThrough(Quantised):
    def __call__(self, x):
        exact = 4 * self.encoder(x)
        codes = exact + jax.lax.stop_gradient(jnp.round(exact) - exact)
        return self.decoder(codes / 4)


def training(model):
    optimizer = nnx.Optimizer(model, optax.adamw(1e-2, weight_decay=0.1), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        x, y = batch

        def loss_fn(model):
            return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)
        return loss

    x, y = jax.random.normal(jax.random.key(1), (16, 6)), jax.random.randint(jax.random.key(2), (16,), 0, 3)
    return smokestep.Training(step, (x, y), state=(model, optimizer))


def buggy():
    return training(Quantised(nnx.Rngs(0)))


def fixed():
    return training(StraightThrough(nnx.Rngs(0)))
