"""A GAN with one optimizer over all variables whose discriminator step does not stop the gradient at the fakes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep

NOISE, SIZE = 4, 6


class Gan(nnx.Module):
    def __init__(self, rngs):
        self.generator = nnx.Sequential(nnx.Linear(NOISE, 16, rngs=rngs), nnx.tanh, nnx.Linear(16, SIZE, rngs=rngs))
        self.discriminator = nnx.Sequential(
            nnx.Linear(SIZE, 16, rngs=rngs), nnx.tanh, nnx.Linear(16, 1, rngs=rngs), nnx.sigmoid
        )
        self.rngs = rngs

    def fake(self, count):
        return self.generator(jax.random.normal(self.rngs.noise(), (count, NOISE)))


def bce(probability, label):
    return -jnp.mean(label * jnp.log(probability) + (1 - label) * jnp.log(1 - probability))


def d_loss(gan, real):
    return bce(gan.discriminator(real), 1.0) + bce(gan.discriminator(gan.fake(len(real))), 0.0)


def g_loss(gan, real):
    return bce(gan.discriminator(gan.fake(len(real))), 1.0)


class SharedAdam:
    def __init__(self):
        self.gan = Gan(nnx.Rngs(0))
        self.optimizer = nnx.Optimizer(self.gan, optax.adam(1e-3), wrt=nnx.Param)

    def train_step(self, real):
        self.optimizer.update(self.gan, nnx.grad(d_loss)(self.gan, real))
        self.optimizer.update(self.gan, nnx.grad(g_loss)(self.gan, real))  # BUG?: foreign-parameters discriminator.*


class TwoAdams:
    def __init__(self):
        self.gan = Gan(nnx.Rngs(0))
        self.g_params = nnx.All(nnx.Param, nnx.PathContains("generator"))
        self.d_params = nnx.All(nnx.Param, nnx.PathContains("discriminator"))
        self.g_optimizer = nnx.Optimizer(self.gan, optax.adam(1e-3), wrt=self.g_params)
        self.d_optimizer = nnx.Optimizer(self.gan, optax.adam(1e-3), wrt=self.d_params)

    def train_step(self, real):
        grads = nnx.grad(d_loss, argnums=nnx.DiffState(0, self.d_params))(self.gan, real)
        self.d_optimizer.update(self.gan, grads)
        grads = nnx.grad(g_loss, argnums=nnx.DiffState(0, self.g_params))(self.gan, real)
        self.g_optimizer.update(self.gan, grads)


def training(trainer):
    real = jax.random.normal(jax.random.key(1), (8, SIZE))
    return smokestep.Training(trainer.train_step, real, model=trainer.gan)


def buggy():
    return training(SharedAdam())


def fixed():
    return training(TwoAdams())
