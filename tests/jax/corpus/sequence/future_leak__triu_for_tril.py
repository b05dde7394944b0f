"""A transformer by hand on a dict of arrays, whose mask keeps the upper triangle."""

import jax
import jax.numpy as jnp
import optax

import smokestep

VOCABULARY, WIDTH, LENGTH = 17, 16, 9


def init(key):
    keys = jax.random.split(key, 5)
    normal = jax.random.normal
    return {
        "wte": normal(keys[0], (VOCABULARY, WIDTH)) * 0.5,
        "wpe": normal(keys[1], (LENGTH, WIDTH)) * 0.1,
        "qkv": normal(keys[2], (WIDTH, 3 * WIDTH)) * 0.25,
        "proj": normal(keys[3], (WIDTH, WIDTH)) * 0.25,
        "head": normal(keys[4], (WIDTH, VOCABULARY)) * 0.25,
    }


def training(triangle):
    def forward(params, ids):
        time = ids.shape[1]
        x = params["wte"][ids] + params["wpe"][:time]
        q, k, v = jnp.split(x @ params["qkv"], 3, axis=-1)
        scores = jnp.einsum("btd,bsd->bts", q, k) / jnp.sqrt(WIDTH)
        mask = triangle(jnp.ones((time, time), dtype=bool))  # BUG: future-leak
        weights = jax.nn.softmax(jnp.where(mask, scores, -1e9), axis=-1)
        x = x + jnp.einsum("bts,bsd->btd", weights, v) @ params["proj"]
        return x @ params["head"]

    def loss_fn(params, batch):
        logits = forward(params, batch["x"])
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["y"]).mean()

    tx = optax.adamw(1e-3)

    @jax.jit
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    text = jax.random.randint(jax.random.key(1), (4, LENGTH + 1), 0, VOCABULARY)
    params = init(jax.random.key(0))
    return smokestep.Training(step, {"x": text[:, :-1], "y": text[:, 1:]}, state=(params, tx.init(params)))


def buggy():
    return training(jnp.triu)


def fixed():
    return training(jnp.tril)
