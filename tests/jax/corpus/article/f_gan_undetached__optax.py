"""A GAN with one Adam over all variables whose discriminator step does not stop the gradient at the fake images either."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

import smokestep

NOISE, SIZE = 4, 6


class Mlp(nn.Module):
    out: int

    @nn.compact
    def __call__(self, x):
        return nn.Dense(self.out)(nn.tanh(nn.Dense(16)(x)))


def loss_of(probability, label):
    return -jnp.mean(label * jnp.log(probability) + (1 - label) * jnp.log(1 - probability))


class Gan:
    def __init__(self):
        self.generator, self.discriminator = Mlp(SIZE), Mlp(1)

    def init(self):
        g = self.generator.init(jax.random.key(0), jnp.zeros((1, NOISE)))["params"]
        d = self.discriminator.init(jax.random.key(1), jnp.zeros((1, SIZE)))["params"]
        return {"generator": g, "discriminator": d}

    def judged(self, params, x):
        return nn.sigmoid(self.discriminator.apply({"params": params["discriminator"]}, x))

    def d_loss(self, params, real, z):
        fake = self.generator.apply({"params": params["generator"]}, z)
        return loss_of(self.judged(params, real), 1.0) + loss_of(self.judged(params, fake), 0.0)

    def g_loss(self, params, z):
        return loss_of(self.judged(params, self.generator.apply({"params": params["generator"]}, z)), 1.0)


def buggy():
    gan, tx = Gan(), optax.adam(1e-3)

    @jax.jit
    def train_step(params, opt_state, key, real):
        key, d_key, g_key = jax.random.split(key, 3)
        grads = jax.grad(gan.d_loss)(params, real, jax.random.normal(d_key, (len(real), NOISE)))
        updates, opt_state = tx.update(grads, opt_state)
        params = optax.apply_updates(params, updates)
        grads = jax.grad(gan.g_loss)(params, jax.random.normal(g_key, (len(real), NOISE)))
        updates, opt_state = tx.update(grads, opt_state)  # BUG: foreign-parameters discriminator.*
        params = optax.apply_updates(params, updates)
        return params, opt_state, key

    params = gan.init()
    real = jax.random.normal(jax.random.key(2), (8, SIZE))
    return smokestep.Training(train_step, real, state=(params, tx.init(params), jax.random.key(3)))


def fixed():
    gan, g_tx, d_tx = Gan(), optax.adam(1e-3), optax.adam(1e-3)

    @jax.jit
    def train_step(g, d, g_state, d_state, key, real):
        key, d_key, g_key = jax.random.split(key, 3)
        z = jax.random.normal(d_key, (len(real), NOISE))
        grads = jax.grad(lambda d: gan.d_loss({"generator": g, "discriminator": d}, real, z))(d)
        updates, d_state = d_tx.update(grads, d_state)
        d = optax.apply_updates(d, updates)
        z = jax.random.normal(g_key, (len(real), NOISE))
        grads = jax.grad(lambda g: gan.g_loss({"generator": g, "discriminator": d}, z))(g)
        updates, g_state = g_tx.update(grads, g_state)
        return optax.apply_updates(g, updates), d, g_state, d_state, key

    g, d = gan.init().values()
    real = jax.random.normal(jax.random.key(2), (8, SIZE))
    return smokestep.Training(train_step, real, state=(g, d, g_tx.init(g), d_tx.init(d), jax.random.key(3)))
