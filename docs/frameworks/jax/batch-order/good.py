import jax
import optax
from flax import nnx

import smokestep


class Net(nnx.Module):
    def __init__(self, rngs):
        self.table = nnx.Variable(jax.random.normal(rngs.params(), (1, 64, 6)))
        self.hidden = nnx.Linear(6, 8, rngs=rngs)
        self.out = nnx.Linear(40, 3, rngs=rngs)

    def __call__(self, x):  # (batch, time, feature)
        x = x + self.table[:, : x.shape[1]]
        h = nnx.relu(self.hidden(x))
        return self.out(h.reshape(len(h), -1))


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
        (jax.random.normal(jax.random.key(1), (8, 5, 6)), jax.random.randint(jax.random.key(2), (8,), 0, 3)),
        state=(model, optimizer),
    )
