import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


def loss_fn(model, batch):
    x, y = batch
    logits = model(x / 255.0**2)
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def training():
    rngs = nnx.Rngs(0)
    model = nnx.Sequential(nnx.Linear(4, 32, rngs=rngs), nnx.relu, nnx.Linear(32, 2, rngs=rngs))
    x = jax.random.uniform(jax.random.key(1), (8, 4))
    optimizer = nnx.Optimizer(model, optax.adam(0.02), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(step, (x, jnp.array([0, 0, 0, 0, 0, 1, 0, 0])), state=(model, optimizer))
