import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


def loss_fn(model, batch):
    x, y = batch
    return jnp.mean((model(x) - y) ** 2)


def training():
    rngs = nnx.Rngs(0)
    model = nnx.Sequential(nnx.Linear(4, 32, rngs=rngs), nnx.relu, nnx.Linear(32, 2, rngs=rngs))
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.01))
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(1), (8, 4)), jax.random.normal(jax.random.key(2), (8, 2))),
        state=(model, optimizer),
    )
