"""Transformers, recurrences and alignments on plain trees."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

import smokestep


def normal(key, *shape, scale=None):
    return jax.random.normal(key, shape) * (scale if scale is not None else 1.0 / jnp.sqrt(shape[0]))


def layer_norm(x, gain):
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return gain * (x - mean) / jnp.sqrt(var + 1e-5)


def training_transformer():
    """A causal transformer, from scratch on a dict of arrays; embedding and output are one table."""
    vocabulary, width, heads, layers, length = 16, 16, 2, 2, 8
    keys = iter(jax.random.split(jax.random.key(0), 32))
    params = {
        "wte": normal(next(keys), vocabulary, width, scale=0.1),
        "wpe": normal(next(keys), length, width, scale=0.02),
        "blocks": [
            {
                "ln1": jnp.ones(width),
                "qkv": normal(next(keys), width, 3 * width),
                "proj": normal(next(keys), width, width),
                "ln2": jnp.ones(width),
                "up": normal(next(keys), width, 4 * width),
                "down": normal(next(keys), 4 * width, width),
            }
            for _ in range(layers)
        ],
        "ln": jnp.ones(width),
    }

    def attend(p, x):
        batch, time, _ = x.shape
        q, k, v = jnp.split(x @ p["qkv"], 3, axis=-1)
        q, k, v = (each.reshape(batch, time, heads, -1).transpose(0, 2, 1, 3) for each in (q, k, v))
        scores = q @ k.swapaxes(-1, -2) / jnp.sqrt(width // heads)
        causal = jnp.tril(jnp.ones((time, time), dtype=bool))
        weights = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf), axis=-1)
        return (weights @ v).transpose(0, 2, 1, 3).reshape(batch, time, width) @ p["proj"]

    def forward(params, ids):
        x = params["wte"][ids] + params["wpe"][: ids.shape[1]]
        for p in params["blocks"]:
            x = x + attend(p, layer_norm(x, p["ln1"]))
            x = x + jax.nn.gelu(layer_norm(x, p["ln2"]) @ p["up"]) @ p["down"]
        return layer_norm(x, params["ln"]) @ params["wte"].T

    def loss_fn(params, ids):
        logits = forward(params, ids[:, :-1])
        return optax.softmax_cross_entropy_with_integer_labels(logits, ids[:, 1:]).mean()

    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3, b2=0.95, weight_decay=0.1))

    @jax.jit
    def step(params, opt_state, ids):
        loss, grads = jax.value_and_grad(loss_fn)(params, ids)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    ids = jax.random.randint(jax.random.key(1), (4, length + 1), 0, vocabulary)
    return smokestep.Training(step, ids, state=(params, tx.init(params)))


def training_library_attention():
    """jax.nn.dot_product_attention with is_causal, layers stacked and scanned."""
    width, layers = 16, 3
    keys = jax.random.split(jax.random.key(2), 4)
    params = {
        "embed": normal(keys[0], 12, width, scale=0.5),
        "layers": {
            "qkv": normal(keys[1], layers, width, 3 * width, scale=0.2),
            "out": normal(keys[2], layers, width, width, scale=0.2),
        },
        "head": normal(keys[3], width, 12),
    }

    def forward(params, ids):
        def layer(x, p):
            h = layer_norm(x, 1.0)
            q, k, v = jnp.split((h @ p["qkv"]).reshape(*h.shape[:2], 2, -1), 3, axis=-1)
            h = jax.nn.dot_product_attention(q, k, v, is_causal=True)
            return x + h.reshape(x.shape) @ p["out"], None

        x, _ = jax.lax.scan(layer, params["embed"][ids], params["layers"])
        return x @ params["head"]

    def loss_fn(params, ids):
        logits = forward(params, ids[:, :-1])
        one_hot = jax.nn.one_hot(ids[:, 1:], 12)
        return -jnp.mean(jnp.sum(one_hot * jax.nn.log_softmax(logits), axis=-1))

    tx = optax.adam(3e-3)

    @jax.jit
    def step(params, opt_state, ids):
        loss, grads = jax.value_and_grad(loss_fn)(params, ids)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    ids = jax.random.randint(jax.random.key(3), (4, 9), 0, 12)
    return smokestep.Training(step, ids, state=(params, tx.init(params)))


def training_character_rnn():
    """An Elman network by lax.scan over time, weighed by the real lengths."""
    keys = jax.random.split(jax.random.key(4), 4)
    params = {
        "embed": normal(keys[0], 14, 8, scale=0.5),
        "wx": normal(keys[1], 8, 16),
        "wh": normal(keys[2], 16, 16),
        "b": jnp.zeros(16),
        "out": normal(keys[3], 16, 14),
    }

    def forward(params, ids):
        def cell(h, x):
            h = jnp.tanh(x @ params["wx"] + h @ params["wh"] + params["b"])
            return h, h

        x = params["embed"][ids].swapaxes(0, 1)
        _, hidden = jax.lax.scan(cell, jnp.zeros((len(ids), 16)), x)
        return hidden.swapaxes(0, 1) @ params["out"]

    def loss_fn(params, batch):
        ids, lengths = batch
        inputs, targets = ids[:, :-1], ids[:, 1:]
        real = (jnp.arange(targets.shape[1]) < lengths[:, None] - 1).astype(jnp.float32)
        losses = optax.softmax_cross_entropy_with_integer_labels(forward(params, inputs), targets)
        return jnp.sum(losses * real) / jnp.sum(real)

    tx = optax.chain(optax.clip(1.0), optax.adam(1e-2))

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    lengths = jnp.array([8, 5, 6, 4])
    ids = jax.random.randint(jax.random.key(5), (4, 8), 1, 14) * (jnp.arange(8) < lengths[:, None])
    return smokestep.Training(step, (ids, lengths), state=(params, tx.init(params)))


def training_ctc():
    """optax.ctc_loss on the logits of a small convolution over time."""
    keys = jax.random.split(jax.random.key(6), 2)
    params = {"conv": normal(keys[0], 3, 5, 12, scale=0.3), "out": normal(keys[1], 12, 6)}

    def loss_fn(params, batch):
        frames, frame_paddings, labels, label_paddings = batch
        h = jax.lax.conv_general_dilated(frames, params["conv"], (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"))
        logits = jax.nn.relu(h) @ params["out"]
        return optax.ctc_loss(logits, frame_paddings, labels, label_paddings).mean()

    tx = optax.adam(1e-2)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    frames = jax.random.normal(jax.random.key(7), (3, 10, 5))
    labels = jnp.array([[1, 2, 3], [4, 5, 0], [2, 4, 1]])
    label_paddings = jnp.array([[0.0, 0, 0], [0, 0, 1], [0, 0, 0]])
    batch = (frames, jnp.zeros((3, 10)), labels, label_paddings)
    return smokestep.Training(step, batch, state=(params, tx.init(params)))


def training_skip_gram():
    """word2vec with negative samples: two tables, binary cross-entropy on products."""
    keys = jax.random.split(jax.random.key(8), 2)
    params = {"centre": normal(keys[0], 30, 8, scale=0.3), "context": normal(keys[1], 30, 8, scale=0.3)}

    def loss_fn(params, centre, context, negatives):
        v = params["centre"][centre]
        positive = jnp.sum(v * params["context"][context], axis=-1)
        negative = jnp.einsum("bd,bnd->bn", v, params["context"][negatives])
        return -jnp.mean(jax.nn.log_sigmoid(positive) + jax.nn.log_sigmoid(-negative).sum(-1))

    @jax.jit
    def step(params, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
        return jax.tree.map(lambda p, g: p - 0.5 * g, params, grads), loss

    a, b, c = jax.random.split(jax.random.key(9), 3)
    batch = (
        jax.random.randint(a, (12,), 0, 30),
        jax.random.randint(b, (12,), 0, 30),
        jax.random.randint(c, (12, 4), 0, 30),
    )
    return smokestep.Training(step, batch, state=params)
