"""The GAN with one Adam over all variables, as two steps whose roles are declared."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

import smokestep

NOISE, SIZE = 4, 6


class Generator(nn.Module):
    @nn.compact
    def __call__(self, z):
        return nn.Dense(SIZE)(nn.relu(nn.Dense(16)(z)))


class Discriminator(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1)(nn.leaky_relu(nn.Dense(16)(x), 0.2))


def training(share_optimizer):
    generator, discriminator = Generator(), Discriminator()
    real, z = jax.random.normal(jax.random.key(0), (8, SIZE)), jax.random.normal(jax.random.key(1), (8, NOISE))
    params = {
        "generator": generator.init(jax.random.key(2), z)["params"],
        "discriminator": discriminator.init(jax.random.key(3), real)["params"],
    }
    labels = {"generator": "generator", "discriminator": "discriminator"}
    everything = optax.adam(2e-4)

    def only(name):
        frozen = {each: optax.adam(2e-4) if each == name else optax.set_to_zero() for each in labels}
        return optax.multi_transform(frozen, labels)

    g_optimizer = everything if share_optimizer else only("generator")
    d_optimizer = everything if share_optimizer else only("discriminator")

    def d_loss(params):
        fake = jax.lax.stop_gradient(generator.apply({"params": params["generator"]}, z))
        logits = discriminator.apply({"params": params["discriminator"]}, jnp.concatenate([real, fake]))
        wanted = jnp.concatenate([jnp.ones((8, 1)), jnp.zeros((8, 1))])
        return optax.sigmoid_binary_cross_entropy(logits, wanted).mean()

    def g_loss(params):
        fake = generator.apply({"params": params["generator"]}, z)
        logits = discriminator.apply({"params": params["discriminator"]}, fake)
        return optax.sigmoid_binary_cross_entropy(logits, jnp.ones((8, 1))).mean()

    @jax.jit
    def discriminator_step(state):
        loss, grads = jax.value_and_grad(d_loss)(state["params"])
        updates, d_state = d_optimizer.update(grads, state["d"])
        return {**state, "params": optax.apply_updates(state["params"], updates), "d": d_state}, loss

    @jax.jit
    def generator_step(state):
        loss, grads = jax.value_and_grad(g_loss)(state["params"])
        updates, g_state = g_optimizer.update(grads, state["g"])  # BUG: foreign-update discriminator.*
        params = optax.apply_updates(state["params"], updates)
        return {**state, "params": params, "g": g_state}, loss

    return smokestep.Training(
        {"discriminator": discriminator_step, "generator": generator_step},
        state={"params": params, "g": g_optimizer.init(params), "d": d_optimizer.init(params)},
        trains={"discriminator": "discriminator.*", "generator": "generator.*"},
    )


def buggy():
    return training(share_optimizer=True)


def fixed():
    return training(share_optimizer=False)
