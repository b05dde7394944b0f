import jax
import optax
from flax import nnx

import smokestep


def loss_fn(model, batch):
    x, y = batch
    return optax.squared_error(model(x), y).mean()


def training():
    rngs = nnx.Rngs(0)
    hidden, out = nnx.Linear(4, 16, rngs=rngs), nnx.Linear(16, 2, rngs=rngs)
    model = nnx.Sequential(hidden, nnx.relu, out, nnx.relu)
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

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
