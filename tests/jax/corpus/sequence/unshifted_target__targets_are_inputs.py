"""A generator of batches that gives the same window twice: the text to read is the text to predict."""

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Block(nnx.Module):
    def __init__(self, width, rngs):
        self.norm, self.attention = nnx.LayerNorm(width, rngs=rngs), nnx.MultiHeadAttention(2, width, rngs=rngs)
        self.mlp_norm, self.up = nnx.LayerNorm(width, rngs=rngs), nnx.Linear(width, 2 * width, rngs=rngs)
        self.down = nnx.Linear(2 * width, width, rngs=rngs)

    def __call__(self, x, mask):
        x = x + self.attention(self.norm(x), mask=mask, decode=False)
        return x + self.down(nnx.gelu(self.up(self.mlp_norm(x))))


class MiniGPT(nnx.Module):
    def __init__(self, rngs):
        self.tokens, self.places = nnx.Embed(27, 16, rngs=rngs), nnx.Embed(16, 16, rngs=rngs)
        self.block, self.head = Block(16, rngs), nnx.Linear(16, 27, rngs=rngs)

    def __call__(self, ids):
        x = self.tokens(ids) + self.places(jnp.arange(ids.shape[1])[None])
        return self.head(self.block(x, jnp.tril(jnp.ones((ids.shape[1], ids.shape[1])))))


def window(text, start, length, ahead):
    return jax.lax.dynamic_slice_in_dim(text, start + ahead, length, axis=1)


def training(ahead):
    model = MiniGPT(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)
    text = jax.random.randint(jax.random.key(1), (4, 40), 0, 27)

    def loss_fn(model, batch):
        logits = model(batch[0])
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch[1])  # BUG: unshifted-target
        return losses.mean()

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(step, (window(text, 3, 10, 0), window(text, 3, 10, ahead)), state=(model, optimizer))


def buggy():
    return training(0)


def fixed():
    return training(1)
