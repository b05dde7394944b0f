import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Attention(nnx.Module):
    def __init__(self, rngs):
        self.q, self.k, self.v, self.head = (nnx.Linear(8, 8, rngs=rngs) for _ in range(4))

    def __call__(self, x):
        near = jnp.triu(jnp.tril(jnp.ones((x.shape[1], x.shape[1])), 1), -1)
        scores = self.q(x) @ self.k(x).swapaxes(1, 2) / 8**0.5
        weights = nnx.softmax(jnp.where(near > 0, scores, -jnp.inf))
        return self.head(weights @ self.v(x))


def loss_fn(model, batch):
    x, y = batch
    return jnp.mean((model(x) - y) ** 2)


def training():
    model = Attention(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(1), (4, 6, 8)), jax.random.normal(jax.random.key(2), (4, 6, 8))),
        state=(model, optimizer),
    )
