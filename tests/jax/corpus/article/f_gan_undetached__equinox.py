"""A GAN as one Equinox module, one Adam over all of it, and nothing stopped between the two networks."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import smokestep

NOISE, SIZE = 4, 6


class Gan(eqx.Module):
    generator: eqx.nn.MLP
    discriminator: eqx.nn.MLP

    def __init__(self, key):
        a, b = jax.random.split(key)
        self.generator = eqx.nn.MLP(NOISE, SIZE, 16, 1, jnp.tanh, key=a)
        self.discriminator = eqx.nn.MLP(SIZE, 1, 16, 1, jnp.tanh, jax.nn.sigmoid, key=b)


def bce(probability, label):
    return -jnp.mean(label * jnp.log(probability) + (1 - label) * jnp.log(1 - probability))


def d_loss(gan, real, z):
    fake = jax.vmap(gan.generator)(z)
    return bce(jax.vmap(gan.discriminator)(real), 1.0) + bce(jax.vmap(gan.discriminator)(fake), 0.0)


def g_loss(gan, z):
    return bce(jax.vmap(gan.discriminator)(jax.vmap(gan.generator)(z)), 1.0)


def buggy():
    gan, optim = Gan(jax.random.key(0)), optax.adam(1e-3)

    @eqx.filter_jit
    def step(gan, opt_state, key, real):
        key, now = jax.random.split(key)
        z = jax.random.normal(now, (len(real), NOISE))
        updates, opt_state = optim.update(eqx.filter_grad(d_loss)(gan, real, z), opt_state)
        gan = eqx.apply_updates(gan, updates)
        grads = eqx.filter_grad(g_loss)(gan, z)
        updates, opt_state = optim.update(grads, opt_state)  # BUG: foreign-parameters discriminator.*
        gan = eqx.apply_updates(gan, updates)
        return gan, opt_state, key

    real = jax.random.normal(jax.random.key(1), (8, SIZE))
    opt_state = optim.init(eqx.filter(gan, eqx.is_inexact_array))
    return smokestep.Training(step, real, state=(gan, opt_state, jax.random.key(2)))


def fixed():
    gan = Gan(jax.random.key(0))
    g_optim, d_optim = optax.adam(1e-3), optax.adam(1e-3)

    def with_part(loss, gan, name, *args):
        def of_part(part):
            return loss(eqx.tree_at(lambda g: getattr(g, name), gan, part), *args)

        return eqx.filter_grad(of_part)(getattr(gan, name))

    @eqx.filter_jit
    def step(gan, g_state, d_state, key, real):
        key, now = jax.random.split(key)
        z = jax.random.normal(now, (len(real), NOISE))
        updates, d_state = d_optim.update(with_part(d_loss, gan, "discriminator", real, z), d_state)
        gan = eqx.tree_at(lambda g: g.discriminator, gan, eqx.apply_updates(gan.discriminator, updates))
        updates, g_state = g_optim.update(with_part(g_loss, gan, "generator", z), g_state)
        gan = eqx.tree_at(lambda g: g.generator, gan, eqx.apply_updates(gan.generator, updates))
        return gan, g_state, d_state, key

    real = jax.random.normal(jax.random.key(1), (8, SIZE))
    g_state = g_optim.init(eqx.filter(gan.generator, eqx.is_inexact_array))
    d_state = d_optim.init(eqx.filter(gan.discriminator, eqx.is_inexact_array))
    return smokestep.Training(step, real, state=(gan, g_state, d_state, jax.random.key(2)))
