"""A GAN in one NNX module with one optimizer over all of it, for both steps."""

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
        self.rngs = rngs

    def sample(self, count):
        return self.generator(jax.random.normal(self.rngs.noise(), (count, NOISE)))


def bce(logits, label):
    return optax.sigmoid_binary_cross_entropy(logits, jnp.full_like(logits, label)).mean()


def d_loss(gan, real):
    fake = jax.lax.stop_gradient(gan.sample(len(real)))
    return bce(gan.discriminator(real), 1.0) + bce(gan.discriminator(fake), 0.0)


def g_loss(gan):
    return bce(gan.discriminator(gan.sample(8)), 1.0)


def buggy():
    gan = Gan(nnx.Rngs(0))
    optimizer = nnx.Optimizer(gan, optax.adam(2e-4), wrt=nnx.Param)

    @nnx.jit
    def step(gan, optimizer, real):
        optimizer.update(gan, nnx.grad(d_loss)(gan, real))
        loss, grads = nnx.value_and_grad(g_loss)(gan)
        optimizer.update(gan, grads)  # BUG: foreign-parameters discriminator.*
        return loss

    return smokestep.Training(step, jax.random.normal(jax.random.key(1), (8, SIZE)), state=(gan, optimizer))


def fixed():
    gan = Gan(nnx.Rngs(0))
    of_generator = nnx.All(nnx.Param, nnx.PathContains("generator"))
    of_discriminator = nnx.All(nnx.Param, nnx.PathContains("discriminator"))
    g_optimizer = nnx.Optimizer(gan, optax.adam(2e-4), wrt=of_generator)
    d_optimizer = nnx.Optimizer(gan, optax.adam(2e-4), wrt=of_discriminator)

    @nnx.jit
    def step(gan, g_optimizer, d_optimizer, real):
        d_optimizer.update(gan, nnx.grad(d_loss, argnums=nnx.DiffState(0, of_discriminator))(gan, real))
        loss, grads = nnx.value_and_grad(g_loss, argnums=nnx.DiffState(0, of_generator))(gan)
        g_optimizer.update(gan, grads)
        return loss

    real = jax.random.normal(jax.random.key(1), (8, SIZE))
    return smokestep.Training(step, real, state=(gan, g_optimizer, d_optimizer))
