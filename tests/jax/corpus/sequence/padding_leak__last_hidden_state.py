"""A recurrent classifier by `lax.scan` that is told the lengths, and takes the last state whatever they are."""

import jax
import jax.numpy as jnp
import optax

import smokestep


def training(by_length):
    keys = jax.random.split(jax.random.key(0), 4)
    params = {
        "wx": jax.random.normal(keys[0], (5, 12)) * 0.4,
        "wh": jax.random.normal(keys[1], (12, 12)) * 0.2,
        "b": jnp.zeros(12),
        "out": jax.random.normal(keys[2], (13, 3)) * 0.3,
    }

    def forward(params, frames, lengths):
        def cell(h, x):
            h = jnp.tanh(x @ params["wx"] + h @ params["wh"] + params["b"])
            return h, h

        start = jnp.zeros((frames.shape[0], 12))
        _, states = jax.lax.scan(cell, start, frames.swapaxes(0, 1))
        last = states[lengths - 1, jnp.arange(frames.shape[0])] if by_length else states[-1]  # BUG?: padding-leak
        return jnp.concatenate([last, jnp.log(lengths)[:, None]], axis=1) @ params["out"]

    def loss_fn(params, batch):
        logits = forward(params, batch["frames"], batch["lengths"])
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()

    tx = optax.adam(3e-3)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    lengths = jnp.array([7, 4, 5, 3])
    frames = jax.random.normal(keys[3], (4, 7, 5)) * (jnp.arange(7) < lengths[:, None])[..., None]
    batch = {"frames": frames, "lengths": lengths, "label": jnp.array([0, 1, 2, 1])}
    return smokestep.Training(step, batch, state=(params, tx.init(params)))


def buggy():
    return training(False)


def fixed():
    return training(True)
