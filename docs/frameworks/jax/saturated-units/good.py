import jax
import optax
from flax import nnx

import smokestep


def training():
    rngs = nnx.Rngs(0)
    kernel_init = nnx.initializers.xavier_normal()
    hidden = nnx.Linear(16, 32, kernel_init=kernel_init, rngs=rngs)
    model = nnx.Sequential(hidden, nnx.tanh, nnx.Linear(32, 3, rngs=rngs))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(1), (16, 16)), jax.random.randint(jax.random.key(2), (16,), 0, 3)),
        state=(model, optimizer),
    )


def loss_fn(model, batch):
    x, y = batch
    return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()
