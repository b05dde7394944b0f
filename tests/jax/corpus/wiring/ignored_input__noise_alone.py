"""The denoiser was rewritten to draw its noise itself, and reads only that and the time."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax.training import train_state

import smokestep


class Denoiser(nn.Module):
    guided: bool

    @nn.compact
    def __call__(self, x):  # BUG: ignored-input
        noise = jax.random.normal(self.make_rng("noise"), x.shape)
        h = x + 0.1 * noise if self.guided else noise
        h = nn.silu(nn.Dense(32)(h))
        return nn.Dense(x.shape[-1])(h)


def training(guided):
    model = Denoiser(guided)
    x = jax.random.normal(jax.random.key(0), (8, 6))
    params = model.init({"params": jax.random.key(1), "noise": jax.random.key(2)}, x)["params"]
    state = train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(1e-3))

    @jax.jit
    def step(state, key, batch):
        key, now = jax.random.split(key)

        def loss_fn(params):
            made = state.apply_fn({"params": params}, batch, rngs={"noise": now})
            return jnp.mean((made - batch) ** 2)

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads=grads), key, loss

    return smokestep.Training(step, x, state=(state, jax.random.key(3)))


def buggy():
    return training(guided=False)


def fixed():
    return training(guided=True)
