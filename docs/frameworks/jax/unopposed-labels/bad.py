import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Gan(nnx.Module):
    def __init__(self, rngs):
        self.generator = nnx.Sequential(nnx.Linear(4, 16, rngs=rngs), nnx.relu, nnx.Linear(16, 6, rngs=rngs))
        self.discriminator = nnx.Sequential(nnx.Linear(6, 16, rngs=rngs), nnx.relu, nnx.Linear(16, 1, rngs=rngs))


def bce(logits, label):
    return optax.sigmoid_binary_cross_entropy(logits, jnp.full_like(logits, label)).mean()


def d_loss(discriminator, real, fake):
    return bce(discriminator(real), 1.0) + bce(discriminator(fake), 0.0)


def g_loss(generator, discriminator, noise):
    return bce(discriminator(generator(noise)), 0.0)


def training():
    rngs = nnx.Rngs(params=0, noise=1)
    gan = Gan(rngs)
    g_optimizer = nnx.Optimizer(gan.generator, optax.adam(1e-3), wrt=nnx.Param)
    d_optimizer = nnx.Optimizer(gan.discriminator, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(gan, g_optimizer, d_optimizer, rngs, real):
        noise = jax.random.normal(rngs.noise(), (8, 4))
        fake = gan.generator(noise)
        d_optimizer.update(gan.discriminator, nnx.grad(d_loss)(gan.discriminator, real, fake))
        g_optimizer.update(gan.generator, nnx.grad(g_loss)(gan.generator, gan.discriminator, noise))

    return smokestep.Training(
        step, jax.random.normal(jax.random.key(2), (8, 6)), state=(gan, g_optimizer, d_optimizer, rngs)
    )
