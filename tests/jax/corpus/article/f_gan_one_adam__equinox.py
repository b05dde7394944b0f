"""A GAN of two Equinox models in one dict, with one Adam over the dict, for both steps."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import smokestep

NOISE, SIZE = 4, 6


def networks():
    a, b = jax.random.split(jax.random.key(0))
    return {"generator": eqx.nn.MLP(NOISE, SIZE, 16, 1, key=a), "discriminator": eqx.nn.MLP(SIZE, 1, 16, 1, key=b)}


def bce(logits, label):
    return optax.sigmoid_binary_cross_entropy(logits, jnp.full_like(logits, label)).mean()


def d_loss(discriminator, generator, real, z):
    fake = jax.lax.stop_gradient(jax.vmap(generator)(z))
    return bce(jax.vmap(discriminator)(real), 1.0) + bce(jax.vmap(discriminator)(fake), 0.0)


def g_loss(generator, discriminator, z):
    return bce(jax.vmap(discriminator)(jax.vmap(generator)(z)), 1.0)


def buggy():
    models = networks()
    optim = optax.adam(2e-4)

    def d_loss_of(models, real, z):
        return d_loss(models["discriminator"], models["generator"], real, z)

    def g_loss_of(models, z):
        return g_loss(models["generator"], models["discriminator"], z)

    @eqx.filter_jit
    def step(models, opt_state, key, real):
        key, z_key = jax.random.split(key)
        z = jax.random.normal(z_key, (len(real), NOISE))
        _, grads = eqx.filter_value_and_grad(d_loss_of)(models, real, z)
        updates, opt_state = optim.update(grads, opt_state)
        models = eqx.apply_updates(models, updates)
        loss, grads = eqx.filter_value_and_grad(g_loss_of)(models, z)
        updates, opt_state = optim.update(grads, opt_state)  # BUG: foreign-parameters discriminator.*
        models = eqx.apply_updates(models, updates)
        return models, opt_state, key, loss

    real = jax.random.normal(jax.random.key(1), (8, SIZE))
    opt_state = optim.init(eqx.filter(models, eqx.is_inexact_array))
    return smokestep.Training(step, real, state=(models, opt_state, jax.random.key(2)))


def fixed():
    models = networks()
    optims = {name: optax.adam(2e-4) for name in models}

    @eqx.filter_jit
    def step(generator, discriminator, g_state, d_state, key, real):
        key, z_key = jax.random.split(key)
        z = jax.random.normal(z_key, (len(real), NOISE))
        _, grads = eqx.filter_value_and_grad(d_loss)(discriminator, generator, real, z)
        updates, d_state = optims["discriminator"].update(grads, d_state)
        discriminator = eqx.apply_updates(discriminator, updates)
        loss, grads = eqx.filter_value_and_grad(g_loss)(generator, discriminator, z)
        updates, g_state = optims["generator"].update(grads, g_state)
        return eqx.apply_updates(generator, updates), discriminator, g_state, d_state, key, loss

    real = jax.random.normal(jax.random.key(1), (8, SIZE))
    states = [optims[name].init(eqx.filter(model, eqx.is_inexact_array)) for name, model in models.items()]
    return smokestep.Training(step, real, state=(*models.values(), *states, jax.random.key(2)))
