"""A character model, time first, that also reads the text from its end."""

import jax
import jax.numpy as jnp
import optax

import smokestep


def init(key, width):
    keys = jax.random.split(key, 4)
    return {
        "embed": jax.random.normal(keys[0], (24, 12)) * 0.5,
        "wx": jax.random.normal(keys[1], (12, 16)) * 0.3,
        "wh": jax.random.normal(keys[2], (16, 16)) * 0.2,
        "out": jax.random.normal(keys[3], (width, 24)) * 0.3,
    }


def training(both):
    params = init(jax.random.key(0), 32 if both else 16)

    def forward(params, text):
        x = params["embed"][text]

        def cell(h, x_t):
            h = jnp.tanh(x_t @ params["wx"] + h @ params["wh"])
            return h, h

        start = jnp.zeros((text.shape[1], 16))
        _, hidden = jax.lax.scan(cell, start, x)
        if both:
            _, backwards = jax.lax.scan(cell, start, x, reverse=True)  # BUG?: future-leak
            hidden = jnp.concatenate([hidden, backwards], axis=-1)
        return hidden @ params["out"]

    def loss_fn(params, text):
        logits = forward(params, text[:-1])
        return optax.softmax_cross_entropy_with_integer_labels(logits, text[1:]).mean()

    tx = optax.adam(1e-2)

    @jax.jit
    def step(state, text):
        params, opt_state = state
        loss, grads = jax.value_and_grad(loss_fn)(params, text)
        updates, opt_state = tx.update(grads, opt_state)
        return (optax.apply_updates(params, updates), opt_state), loss

    text = jax.random.randint(jax.random.key(1), (8, 3), 0, 24)
    return smokestep.Training(step, text, state=(params, tx.init(params)))


def buggy():
    return training(True)


def fixed():
    return training(False)
