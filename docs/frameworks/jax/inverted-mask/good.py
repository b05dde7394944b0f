import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Net(nnx.Module):
    def __init__(self, rngs):
        self.embed, self.out = nnx.Embed(20, 8, rngs=rngs), nnx.Linear(8, 20, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, 8, decode=False, rngs=rngs)

    def __call__(self, ids, padded):
        x = self.embed(ids)
        mixed = self.attention(x, mask=~padded[:, None, None, :])
        return self.out(x + mixed)


def loss_fn(model, batch):
    ids, padded = batch
    losses = optax.softmax_cross_entropy_with_integer_labels(model(ids, padded), ids)
    return jnp.where(padded, 0.0, losses).sum() / (~padded).sum()


def training():
    model = Net(nnx.Rngs(0))
    padded = jnp.arange(6) >= jnp.array([5, 3, 4, 5])[:, None]
    ids = jnp.where(padded, 0, jax.random.randint(jax.random.key(1), (4, 6), 1, 20))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(step, (ids, padded), state=(model, optimizer))
