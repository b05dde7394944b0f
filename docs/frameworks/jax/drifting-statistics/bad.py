import jax
import optax
from flax import nnx

import smokestep


class Net(nnx.Module):
    def __init__(self, rngs):
        self.body = nnx.Sequential(nnx.Linear(3, 4, rngs=rngs), nnx.BatchNorm(4, rngs=rngs))
        self.head = nnx.Linear(4, 2, rngs=rngs)

    def __call__(self, x):
        return self.head(self.body(x))


def loss_fn(model, batch):
    x, y = batch
    return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()


def training():
    model = Net(nnx.Rngs(0))
    model.body(2 * jax.random.normal(jax.random.key(3), (8, 3)) + 1)  # stands for loading trained statistics
    head = nnx.All(nnx.Param, nnx.PathContains("head"))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=head)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn, argnums=nnx.DiffState(0, head))(model, batch)
        optimizer.update(model, grads)
        return loss

    batch = (jax.random.normal(jax.random.key(1), (8, 3)), jax.random.randint(jax.random.key(2), (8,), 0, 2))
    return smokestep.Training(step, batch, state=(model, optimizer), untouched="body.*")
