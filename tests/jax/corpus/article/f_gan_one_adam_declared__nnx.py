"""The GAN with one optimizer over a module of both networks, as two steps whose roles are declared."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep

NOISE, SIZE = 4, 6


class Gan(nnx.Module):
    def __init__(self, rngs):
        self.generator = nnx.Sequential(nnx.Linear(NOISE, 16, rngs=rngs), nnx.relu, nnx.Linear(16, SIZE, rngs=rngs))
        self.discriminator = nnx.Sequential(nnx.Linear(SIZE, 16, rngs=rngs), nnx.tanh, nnx.Linear(16, 1, rngs=rngs))


def training(share_optimizer):
    gan = Gan(nnx.Rngs(0))
    wrt_g = nnx.Param if share_optimizer else nnx.All(nnx.Param, nnx.PathContains("generator"))
    wrt_d = nnx.Param if share_optimizer else nnx.All(nnx.Param, nnx.PathContains("discriminator"))
    g_optimizer = nnx.Optimizer(gan, optax.adam(2e-4), wrt=wrt_g)
    d_optimizer = g_optimizer if share_optimizer else nnx.Optimizer(gan, optax.adam(2e-4), wrt=wrt_d)
    real, z = jax.random.normal(jax.random.key(1), (8, SIZE)), jax.random.normal(jax.random.key(2), (8, NOISE))

    def bce(logits, label):
        return optax.sigmoid_binary_cross_entropy(logits, jnp.full_like(logits, label)).mean()

    def discriminator_step():
        def loss_fn(gan):
            fake = jax.lax.stop_gradient(gan.generator(z))
            return bce(gan.discriminator(real), 1.0) + bce(gan.discriminator(fake), 0.0)

        loss, grads = nnx.value_and_grad(loss_fn, argnums=nnx.DiffState(0, wrt_d))(gan)
        d_optimizer.update(gan, grads)  # BUG: foreign-update generator.*
        return loss

    def generator_step():
        def loss_fn(gan):
            return bce(gan.discriminator(gan.generator(z)), 1.0)

        loss, grads = nnx.value_and_grad(loss_fn, argnums=nnx.DiffState(0, wrt_g))(gan)
        g_optimizer.update(gan, grads)  # BUG: foreign-update discriminator.*
        return loss

    return smokestep.Training(
        {"discriminator": discriminator_step, "generator": generator_step},
        model=gan,
        trains={"discriminator": "discriminator.*", "generator": "generator.*"},
    )


def buggy():
    return training(share_optimizer=True)


def fixed():
    return training(share_optimizer=False)
