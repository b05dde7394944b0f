"""A decoder that shifts its inputs to the right, as examples for translation do, and is handed shifted ones."""

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


def shift_right(x):
    return jnp.pad(x, ((0, 0), (1, 0), (0, 0)))[:, :-1]


class Decoder(nnx.Module):
    def __init__(self, rngs, *, shift):
        self.embed = nnx.Embed(23, 16, rngs=rngs)
        self.place = nnx.Embed(16, 16, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, 16, decode=False, rngs=rngs)
        self.head = nnx.Linear(16, 23, rngs=rngs)
        self.shift = shift

    def __call__(self, ids):
        x = self.embed(ids)
        if self.shift:
            x = shift_right(x)
        x = x + self.place(jnp.arange(ids.shape[1]))
        x = x + self.attention(x, mask=nnx.make_causal_mask(ids))
        return self.head(x)


def training(shift):
    model = Decoder(nnx.Rngs(0), shift=shift)
    optimizer = nnx.Optimizer(model, optax.adamw(3e-4), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        def loss_fn(model):
            logits = model(batch["inputs"])  # BUG?: lost-history
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["targets"])
            return jnp.mean(losses)

        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)
        return loss

    text = jax.random.randint(jax.random.key(1), (4, 11), 0, 23)
    return smokestep.Training(step, {"inputs": text[:, :-1], "targets": text[:, 1:]}, state=(model, optimizer))


def buggy():
    return training(True)


def fixed():
    return training(False)
