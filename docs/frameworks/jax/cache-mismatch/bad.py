import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Net(nnx.Module):
    def __init__(self, rngs):
        self.tokens, self.places = nnx.Embed(20, 16, rngs=rngs), nnx.Embed(32, 16, rngs=rngs)
        self.qkv, self.head = nnx.Linear(16, 48, rngs=rngs), nnx.Linear(16, 20, rngs=rngs)

    def __call__(self, ids, past=None):
        start = 0 if past is None else past[0].shape[1]
        x = self.tokens(ids) + self.places(jnp.arange(ids.shape[1]))
        q, k, v = jnp.split(self.qkv(x), 3, axis=-1)
        if past is not None:
            k, v = jnp.concatenate([past[0], k], axis=1), jnp.concatenate([past[1], v], axis=1)
        seen = jnp.tril(jnp.ones((k.shape[1], k.shape[1]), dtype=bool))[start:]
        scores = jnp.where(seen, q @ k.swapaxes(1, 2) / 4, -jnp.inf)
        return self.head(x + nnx.softmax(scores) @ v), (k, v)


def loss_fn(model, ids):
    logits, _ = model(ids[:, :-1])
    return optax.softmax_cross_entropy_with_integer_labels(logits, ids[:, 1:]).mean()


def training():
    model = Net(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(step, jax.random.randint(jax.random.key(1), (4, 10), 0, 20), state=(model, optimizer))
