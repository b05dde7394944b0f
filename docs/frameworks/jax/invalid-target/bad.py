import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


def loss_fn(model, batch):
    x, y = batch
    return optax.sigmoid_binary_cross_entropy(model(x)[:, 0], y).mean()


def training():
    rngs = nnx.Rngs(0)
    model = nnx.Sequential(nnx.Linear(4, 16, rngs=rngs), nnx.relu, nnx.Linear(16, 1, rngs=rngs))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(1), (6, 4)), jnp.array([1.0, -1, 1, -1, -1, 1])),
        state=(model, optimizer),
    )
