"""A GAN with one Adam over all variables for both steps: training the discriminator trains the generator to please it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep

NOISE, SIZE = 4, 6


def dense(key, *sizes):
    keys = jax.random.split(key, len(sizes) - 1)
    he = jax.nn.initializers.he_normal()
    return [{"w": he(k, shape), "b": jnp.zeros(shape[1])} for k, shape in zip(keys, zip(sizes, sizes[1:]))]


def mlp(layers, x):
    for layer in layers[:-1]:
        x = jax.nn.leaky_relu(x @ layer["w"] + layer["b"])
    return x @ layers[-1]["w"] + layers[-1]["b"]


def bce(logits, label):
    return optax.sigmoid_binary_cross_entropy(logits, jnp.full_like(logits, label)).mean()


def d_loss(params, real, z):
    fake = jax.lax.stop_gradient(mlp(params["generator"], z))
    return bce(mlp(params["discriminator"], real), 1.0) + bce(mlp(params["discriminator"], fake), 0.0)


def g_loss(params, z):
    return bce(mlp(params["discriminator"], mlp(params["generator"], z)), 1.0)


def networks():
    params = {"generator": dense(jax.random.key(0), NOISE, 16, SIZE)}
    return params | {"discriminator": dense(jax.random.key(1), SIZE, 16, 1)}


def buggy():
    params = networks()
    optimizer = optax.adam(2e-4)

    @jax.jit
    def step(params, opt_state, key, real):
        key, z_key = jax.random.split(key)
        z = jax.random.normal(z_key, (len(real), NOISE))
        updates, opt_state = optimizer.update(jax.grad(d_loss)(params, real, z), opt_state)
        params = optax.apply_updates(params, updates)
        loss, grads = jax.value_and_grad(g_loss)(params, z)
        updates, opt_state = optimizer.update(grads, opt_state)  # BUG: foreign-parameters discriminator.*
        params = optax.apply_updates(params, updates)
        return params, opt_state, key, loss

    real = jax.random.normal(jax.random.key(2), (8, SIZE))
    return smokestep.Training(step, real, state=(params, optimizer.init(params), jax.random.key(3)))


def fixed():
    params = networks()
    optimizers = {name: optax.adam(2e-4) for name in params}

    def update(name, params, opt_state, grads):
        updates, state = optimizers[name].update(grads[name], opt_state[name])
        return {**params, name: optax.apply_updates(params[name], updates)}, {**opt_state, name: state}

    @jax.jit
    def step(params, opt_state, key, real):
        key, z_key = jax.random.split(key)
        z = jax.random.normal(z_key, (len(real), NOISE))
        params, opt_state = update("discriminator", params, opt_state, jax.grad(d_loss)(params, real, z))
        loss, grads = jax.value_and_grad(g_loss)(params, z)
        params, opt_state = update("generator", params, opt_state, grads)
        return params, opt_state, key, loss

    opt_state = {name: optimizers[name].init(params[name]) for name in params}
    real = jax.random.normal(jax.random.key(2), (8, SIZE))
    return smokestep.Training(step, real, state=(params, opt_state, jax.random.key(3)))
