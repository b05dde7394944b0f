"""A language model in Equinox, written for one text and mapped over the batch, whose mask hides the past."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import smokestep


class Decoder(eqx.Module):
    embed: eqx.nn.Embedding
    place: jax.Array
    attention: eqx.nn.MultiheadAttention
    head: eqx.nn.Linear
    backwards: bool = eqx.field(static=True)

    def __init__(self, backwards, key):
        keys = jax.random.split(key, 4)
        self.embed = eqx.nn.Embedding(19, 16, key=keys[0])
        self.place = jax.random.normal(keys[1], (10, 16)) * 0.1
        self.attention = eqx.nn.MultiheadAttention(2, 16, key=keys[2])
        self.head = eqx.nn.Linear(16, 19, key=keys[3])
        self.backwards = backwards

    def __call__(self, ids):
        x = jax.vmap(self.embed)(ids) + self.place[: len(ids)]
        mask = jnp.tril(jnp.ones((len(ids), len(ids)), dtype=bool))
        if self.backwards:
            mask = jnp.eye(len(ids), dtype=bool)
        x = x + self.attention(x, x, x, mask=mask)  # BUG?: lost-history
        return jax.vmap(self.head)(x)


def training(backwards):
    model = Decoder(backwards, jax.random.key(0))
    tx = optax.adam(1e-3)

    def loss_fn(model, ids):
        logits = jax.vmap(model)(ids[:, :-1])
        return optax.softmax_cross_entropy_with_integer_labels(logits, ids[:, 1:]).mean()

    @eqx.filter_jit
    def step(model, opt_state, ids):
        loss, grads = eqx.filter_value_and_grad(loss_fn)(model, ids)
        updates, opt_state = tx.update(grads, opt_state, eqx.filter(model, eqx.is_array))
        return eqx.apply_updates(model, updates), opt_state, loss

    ids = jax.random.randint(jax.random.key(1), (4, 10), 0, 19)
    return smokestep.Training(step, ids, state=(model, tx.init(eqx.filter(model, eqx.is_array))))


def buggy():
    return training(True)


def fixed():
    return training(False)
