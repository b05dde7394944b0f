"""A layer cut off by rounding gets a gradient of exactly 0, and AdamW's decay moves it all the same."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep


def init(key):
    a, b = jax.random.split(key)
    lecun = jax.nn.initializers.lecun_normal()
    return {
        "encoder": {"w": lecun(a, (6, 12)), "b": jnp.zeros(12)},
        "decoder": {"w": lecun(b, (12, 3)), "b": jnp.zeros(3)},
    }


def quantised(params, x):
    exact = 4 * (x @ params["encoder"]["w"] + params["encoder"]["b"])
    codes = jnp.round(exact)  # BUG: gradient-cut encoder.w, encoder.b
    return codes / 4 @ params["decoder"]["w"] + params["decoder"]["b"]


def straight_through(params, x):
    exact = 4 * (x @ params["encoder"]["w"] + params["encoder"]["b"])
    codes = exact + jax.lax.stop_gradient(jnp.round(exact) - exact)
    return codes / 4 @ params["decoder"]["w"] + params["decoder"]["b"]


def training(model):
    params = init(jax.random.key(0))
    optimizer = optax.adamw(1e-2, weight_decay=0.1)

    @jax.jit
    def step(params, opt_state, batch):
        x, y = batch

        def loss_fn(params):
            return optax.softmax_cross_entropy_with_integer_labels(model(params, x), y).mean()

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    x, y = jax.random.normal(jax.random.key(1), (16, 6)), jax.random.randint(jax.random.key(2), (16,), 0, 3)
    return smokestep.Training(step, (x, y), state=(params, optimizer.init(params)))


def buggy():
    return training(quantised)


def fixed():
    return training(straight_through)
