import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


def overlap(prediction, mask):
    return (2 * (prediction * mask).sum() + 1) / (prediction.sum() + mask.sum() + 1)


def loss_fn(model, batch):
    x, mask = batch
    return overlap(nnx.sigmoid(model(x)), mask)


def training():
    rngs = nnx.Rngs(0)
    model = nnx.Sequential(nnx.Linear(4, 16, rngs=rngs), nnx.relu, nnx.Linear(16, 9, rngs=rngs))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(
        step,
        (
            jax.random.normal(jax.random.key(1), (8, 4)),
            jax.random.randint(jax.random.key(2), (8, 9), 0, 2).astype(jnp.float32),
        ),
        state=(model, optimizer),
    )
