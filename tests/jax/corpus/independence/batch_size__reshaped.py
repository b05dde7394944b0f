"""A convolutional network in Equinox' style on a dict of arrays, that flattens with the batch size written in."""

import jax
import jax.numpy as jnp
import optax

import smokestep

BATCH = 6


def init(key):
    keys = jax.random.split(key, 2)
    return {
        "kernel": jax.random.normal(keys[0], (3, 3, 1, 4)) * 0.3,
        "w": jax.random.normal(keys[1], (64, 5)) * 0.1,
        "b": jnp.zeros(5),
    }


def training(written):
    def forward(params, images):
        x = jax.lax.conv_general_dilated(
            images, params["kernel"], (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = jax.nn.relu(x)
        x = x.reshape(BATCH, 64) if written else x.reshape(x.shape[0], 64)  # BUG?: batch-size
        return x @ params["w"] + params["b"]

    def loss_fn(params, images, labels):
        return optax.softmax_cross_entropy_with_integer_labels(forward(params, images), labels).mean()

    tx = optax.adam(1e-3)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    params = init(jax.random.key(0))
    images = jax.random.normal(jax.random.key(1), (BATCH, 8, 8, 1))
    return smokestep.Training(step, (images, jnp.arange(BATCH) % 5), state=(params, tx.init(params)))


def buggy():
    return training(True)


def fixed():
    return training(False)
