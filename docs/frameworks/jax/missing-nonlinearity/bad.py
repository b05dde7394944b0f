import jax
import optax
from flax import nnx

import smokestep


class Net(nnx.Module):
    def __init__(self, rngs):
        self.fc1, self.fc2 = nnx.Linear(8, 32, rngs=rngs), nnx.Linear(32, 16, rngs=rngs)
        self.drop, self.out = nnx.Dropout(0.1, rngs=rngs), nnx.Linear(16, 3, rngs=rngs)

    def __call__(self, x):
        h = self.drop(self.fc1(x))
        h = nnx.relu(self.fc2(h))
        return self.out(h)


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
        (jax.random.normal(jax.random.key(1), (8, 8)), jax.random.randint(jax.random.key(2), (8,), 0, 3)),
        state=(model, optimizer),
    )
