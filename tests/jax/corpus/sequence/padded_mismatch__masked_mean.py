"""Embeddings of words, masked, and averaged over the width of the batch."""

import jax
import jax.numpy as jnp
import optax

import smokestep


def training(by_mask):
    keys = jax.random.split(jax.random.key(0), 4)
    params = {
        "words": jax.random.normal(keys[0], (40, 16)),
        "w": jax.random.normal(keys[1], (16, 4)) * 0.3,
        "b": jnp.zeros(4),
    }

    def forward(params, words, mask):
        x = params["words"][words] * mask[..., None]
        count = mask.sum(axis=1, keepdims=True) if by_mask else mask.shape[1]
        sentence = x.sum(axis=1) / count  # BUG?: padded-mismatch
        return sentence @ params["w"] + params["b"]

    def loss_fn(params, words, mask, label):
        logits = forward(params, words, mask)
        return optax.softmax_cross_entropy_with_integer_labels(logits, label).mean()

    tx = optax.sgd(0.1)

    @jax.jit
    def step(state, batch):
        params, opt_state = state
        loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
        updates, opt_state = tx.update(grads, opt_state)
        return (optax.apply_updates(params, updates), opt_state), loss

    mask = (jnp.arange(8) < jnp.array([8, 3, 5, 6, 2])[:, None]).astype(jnp.float32)
    words = jax.random.randint(keys[2], (5, 8), 1, 40) * mask.astype(jnp.int32)
    return smokestep.Training(step, (words, mask, jnp.array([0, 1, 2, 3, 0])), state=(params, tx.init(params)))


def buggy():
    return training(False)


def fixed():
    return training(True)
