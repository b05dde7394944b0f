"""A tagger in Equinox, whose loss is the mean over all positions, padded ones too."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import smokestep


class Tagger(eqx.Module):
    embed: eqx.nn.Embedding
    place: jax.Array
    attention: eqx.nn.MultiheadAttention
    head: eqx.nn.Linear

    def __init__(self, key):
        keys = jax.random.split(key, 4)
        self.embed = eqx.nn.Embedding(25, 16, key=keys[0])
        self.place = jax.random.normal(keys[1], (12, 16)) * 0.1
        self.attention = eqx.nn.MultiheadAttention(2, 16, key=keys[2])
        self.head = eqx.nn.Linear(16, 6, key=keys[3])

    def __call__(self, words, real):
        x = jax.vmap(self.embed)(words) + self.place[: len(words)]
        mask = jnp.broadcast_to(real, (len(real), len(real)))
        x = x + self.attention(x, x, x, mask=mask)
        return jax.vmap(self.head)(x)


def training(weighed):
    model = Tagger(jax.random.key(0))
    tx = optax.adam(1e-3)

    @eqx.filter_value_and_grad
    def loss_fn(model, batch):
        logits = jax.vmap(model)(batch["words"], batch["real"])
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["tags"])
        if weighed:
            return jnp.sum(losses * batch["real"]) / jnp.sum(batch["real"])
        return jnp.mean(losses)  # BUG?: padded-loss

    @eqx.filter_jit
    def step(model, opt_state, batch):
        loss, grads = loss_fn(model, batch)
        updates, opt_state = tx.update(grads, opt_state, eqx.filter(model, eqx.is_array))
        return eqx.apply_updates(model, updates), opt_state, loss

    real = jnp.arange(9) < jnp.array([9, 4, 6, 5])[:, None]
    words = jax.random.randint(jax.random.key(1), (4, 9), 1, 25) * real
    tags = jax.random.randint(jax.random.key(2), (4, 9), 1, 6) * real
    batch = {"words": words, "real": real, "tags": tags}
    return smokestep.Training(step, batch, state=(model, tx.init(eqx.filter(model, eqx.is_array))))


def buggy():
    return training(False)


def fixed():
    return training(True)
