import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Net(nnx.Module):
    def __init__(self, rngs):
        self.body, self.out = nnx.Linear(4, 8, rngs=rngs), nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        h = nnx.relu(self.body(x)).mean(axis=0, keepdims=True)
        return jnp.broadcast_to(self.out(h), (len(x), 3))


def loss_fn(model, batch):
    x, y = batch
    return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()


def training():
    model = Net(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(1), (8, 4)), jax.random.randint(jax.random.key(2), (8,), 0, 3)),
        state=(model, optimizer),
    )
