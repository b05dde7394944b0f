import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Centered(nnx.Module):
    def __init__(self, rngs):
        self.last = nnx.Linear(4, 2, rngs=rngs)
        self.mean = nnx.BatchStat(jnp.zeros(4))
        self.deterministic = False

    def __call__(self, x):
        self.mean[...] = 0.9 * self.mean[...] + 0.1 * x.mean(0)
        return self.last(x - self.mean[...])


def loss_fn(model, batch):
    x, y = batch
    return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()


def training():
    model = Centered(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(1), (8, 4)), jax.random.randint(jax.random.key(2), (8,), 0, 2)),
        state=(model, optimizer),
    )
