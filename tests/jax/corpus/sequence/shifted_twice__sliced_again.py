"""A data pipeline that gives shifted targets, and a loss that shifts them once more."""

import jax
import jax.numpy as jnp
import optax

import smokestep


def init(key):
    keys = jax.random.split(key, 4)
    return {
        "table": jax.random.normal(keys[0], (22, 16)) * 0.5,
        "qk": jax.random.normal(keys[1], (16, 32)) * 0.2,
        "v": jax.random.normal(keys[2], (16, 16)) * 0.2,
        "head": jax.random.normal(keys[3], (16, 22)) * 0.2,
    }


def forward(params, ids):
    x = jnp.take(params["table"], ids, axis=0)
    q, k = jnp.split(x @ params["qk"], 2, axis=-1)
    distance = jnp.arange(ids.shape[1])[:, None] - jnp.arange(ids.shape[1])
    scores = q @ k.swapaxes(1, 2) / 4.0 - 0.1 * jnp.abs(distance)
    weights = jax.nn.softmax(jnp.where(distance >= 0, scores, -jnp.inf))
    return (x + weights @ (x @ params["v"])) @ params["head"]


def training(again):
    tx = optax.adam(1e-3)
    params = init(jax.random.key(0))

    @jax.jit
    def step(params, opt_state, batch):
        ids, labels = batch

        def loss_fn(params):
            logits = forward(params, ids)
            if again:
                logits, targets = logits[:, :-1], labels[:, 1:]
            else:
                targets = labels
            flat = logits.reshape(-1, logits.shape[-1])
            losses = optax.softmax_cross_entropy_with_integer_labels(flat, targets.reshape(-1))  # BUG?: shifted-twice
            return losses.mean()

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    text = jax.random.randint(jax.random.key(1), (4, 11), 0, 22)
    return smokestep.Training(step, (text[:, :-1], text[:, 1:]), state=(params, tx.init(params)))


def buggy():
    return training(True)


def fixed():
    return training(False)
