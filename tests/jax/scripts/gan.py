"""A GAN in two jitted steps, each with its own optimizer."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

BUGGY = "buggy" in sys.argv


def mlp_init(key, sizes):
    keys = jax.random.split(key, len(sizes) - 1)
    return [
        {"w": jax.random.normal(k, (a, b)) * jnp.sqrt(2 / a), "b": jnp.zeros(b)}
        for k, a, b in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]


def mlp(params, x):
    for layer in params[:-1]:
        x = jax.nn.leaky_relu(x @ layer["w"] + layer["b"], 0.2)
    return x @ params[-1]["w"] + params[-1]["b"]


g_tx, d_tx = optax.adam(1e-3, b1=0.5), optax.adam(1e-3, b1=0.5)


@jax.jit
def d_step(d_params, d_opt, g_params, real, key):
    def loss_fn(d_params):
        fake = mlp(g_params, jax.random.normal(key, (real.shape[0], 4)))
        real_logits, fake_logits = mlp(d_params, real), mlp(d_params, fake)
        return (
            optax.sigmoid_binary_cross_entropy(real_logits, jnp.ones_like(real_logits)).mean()
            + optax.sigmoid_binary_cross_entropy(fake_logits, jnp.zeros_like(fake_logits)).mean()
        )

    loss, grads = jax.value_and_grad(loss_fn)(d_params)
    updates, d_opt = d_tx.update(grads, d_opt)
    return optax.apply_updates(d_params, updates), d_opt, loss


@jax.jit
def g_step(g_params, g_opt, d_params, key):
    def loss_fn(g_params):
        fake = mlp(g_params, jax.random.normal(key, (16, 4)))
        if BUGGY:
            fake = jnp.round(fake * 100) / 100  # BUG: gradient-cut
        logits = mlp(d_params, fake)
        return optax.sigmoid_binary_cross_entropy(logits, jnp.ones_like(logits)).mean()

    loss, grads = jax.value_and_grad(loss_fn)(g_params)
    updates, g_opt = g_tx.update(grads, g_opt)
    return optax.apply_updates(g_params, updates), g_opt, loss


key = jax.random.key(0)
key, g_key, d_key = jax.random.split(key, 3)
g_params, d_params = mlp_init(g_key, (4, 16, 2)), mlp_init(d_key, (2, 16, 1))
g_opt, d_opt = g_tx.init(g_params), d_tx.init(d_params)
data = np.random.default_rng(0)
for step in range(12):
    real = data.normal(2.0, 0.5, (16, 2)).astype(np.float32)
    key, d_noise, g_noise = jax.random.split(key, 3)
    d_params, d_opt, d_loss = d_step(d_params, d_opt, g_params, real, d_noise)
    g_params, g_opt, g_loss = g_step(g_params, g_opt, d_params, g_noise)
    if step % 4 == 0:
        print(f"{step}: d {d_loss:.3f} g {g_loss:.3f}")
