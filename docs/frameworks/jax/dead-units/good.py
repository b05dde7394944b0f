import jax
import optax
from flax import nnx

import smokestep


def training():
    rngs = nnx.Rngs(0)
    hidden = nnx.Linear(8, 64, rngs=rngs)
    hidden.bias = nnx.Param(0.1 * jax.random.normal(jax.random.key(3), (64,)))
    model = nnx.Sequential(hidden, nnx.relu, nnx.Linear(64, 3, rngs=rngs))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(1), (32, 8)), jax.random.randint(jax.random.key(2), (32,), 0, 3)),
        state=(model, optimizer),
    )


def loss_fn(model, batch):
    x, y = batch
    return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()
