import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


def loss_fn(model, batch):
    x, y = batch
    error = jnp.mean((model(x) - y) ** 2)
    return error


def training():
    rngs = nnx.Rngs(0)
    model = nnx.Sequential(nnx.Linear(4, 16, rngs=rngs), nnx.tanh, nnx.Linear(16, 1, rngs=rngs))
    tx = optax.chain(optax.clip_by_global_norm(0.1), optax.adam(1e-3))
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(1), (8, 4)), jax.random.normal(jax.random.key(2), (8, 1))),
        state=(model, optimizer),
    )
