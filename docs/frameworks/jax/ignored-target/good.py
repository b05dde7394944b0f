import jax
import optax
from flax import nnx

import smokestep


def loss_fn(model, batch):
    x, y = batch
    out = model(x)
    return optax.squared_error(out, y).mean()


def training():
    rngs = nnx.Rngs(0)
    model = nnx.Sequential(nnx.Linear(4, 8, rngs=rngs), nnx.relu, nnx.Linear(8, 2, rngs=rngs))
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
