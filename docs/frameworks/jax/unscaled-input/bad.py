import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Net(nnx.Module):
    def __init__(self, rngs):
        self.hidden = nnx.Linear(64, 32, rngs=rngs)
        self.out = nnx.Linear(32, 1, rngs=rngs)

    def __call__(self, images):
        x = images.reshape(len(images), -1)
        return self.out(nnx.relu(self.hidden(x)))


def loss_fn(model, batch):
    images, y = batch
    logits = model(images.astype(jnp.float32))
    return optax.sigmoid_binary_cross_entropy(logits, y).mean()


def training():
    model = Net(nnx.Rngs(0))
    images = jax.random.randint(jax.random.key(1), (8, 8, 8), 0, 256).astype(jnp.uint8)
    y = jax.random.randint(jax.random.key(2), (8, 1), 0, 2).astype(jnp.float32)
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(step, (images, y), state=(model, optimizer))
