import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Net(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(3, 6, (3, 3), rngs=rngs)
        self.out = nnx.Linear(6, 4, rngs=rngs)

    def __call__(self, images):
        return self.out(nnx.relu(self.conv(images)).mean(axis=(1, 2)))


def loss_fn(model, batch):
    images, labels = batch  # channels, height, width
    images = images.reshape(8, 10, 10, 3)
    return optax.softmax_cross_entropy_with_integer_labels(model(images), labels).mean()


def training():
    model = Net(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(
        step, (jax.random.normal(jax.random.key(1), (8, 3, 10, 10)), jnp.arange(8) % 4), state=(model, optimizer)
    )
