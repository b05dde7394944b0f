"""The GAN with one optimizer over both models, as two steps whose roles are declared."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import smokestep

NOISE, SIZE = 4, 6


def bce(logits, label):
    return optax.sigmoid_binary_cross_entropy(logits, jnp.full_like(logits, label)).mean()


def training(share_optimizer):
    a, b = jax.random.split(jax.random.key(0))
    models = {"generator": eqx.nn.MLP(NOISE, SIZE, 16, 1, key=a), "discriminator": eqx.nn.MLP(SIZE, 1, 16, 1, key=b)}
    real, z = jax.random.normal(jax.random.key(1), (8, SIZE)), jax.random.normal(jax.random.key(2), (8, NOISE))
    optim = optax.adam(2e-4)

    def part(models, name):
        spec = {each: each == name or share_optimizer for each in models}
        return eqx.partition(models, jax.tree.map(lambda on, m: jax.tree.map(lambda _: on, m), spec, models))

    def d_loss(trained, fixed):
        models = eqx.combine(trained, fixed)
        fake = jax.lax.stop_gradient(jax.vmap(models["generator"])(z))
        return bce(jax.vmap(models["discriminator"])(real), 1.0) + bce(jax.vmap(models["discriminator"])(fake), 0.0)

    def g_loss(trained, fixed):
        models = eqx.combine(trained, fixed)
        return bce(jax.vmap(models["discriminator"])(jax.vmap(models["generator"])(z)), 1.0)

    @eqx.filter_jit
    def discriminator_step(models, d_state, g_state):
        trained, fixed = part(models, "discriminator")
        loss, grads = eqx.filter_value_and_grad(d_loss)(trained, fixed)
        updates, d_state = optim.update(grads, d_state)
        return eqx.apply_updates(models, updates), d_state, g_state, loss

    @eqx.filter_jit
    def generator_step(models, d_state, g_state):
        trained, fixed = part(models, "generator")
        loss, grads = eqx.filter_value_and_grad(g_loss)(trained, fixed)
        updates, g_state = optim.update(grads, g_state)  # BUG: foreign-update discriminator.*
        models = eqx.apply_updates(models, updates)
        return models, d_state, g_state, loss

    d_state, g_state = (
        optim.init(eqx.filter(part(models, name)[0], eqx.is_inexact_array)) for name in ("discriminator", "generator")
    )
    return smokestep.Training(
        {"discriminator": discriminator_step, "generator": generator_step},
        state=(models, d_state, g_state),
        trains={"discriminator": "discriminator.*", "generator": "generator.*"},
    )


def buggy():
    return training(share_optimizer=True)


def fixed():
    return training(share_optimizer=False)
