import jax
import optax
from flax import nnx

import smokestep


class Net(nnx.Module):
    def __init__(self, rngs):
        self.hidden, self.out = nnx.Linear(8, 16, rngs=rngs), nnx.Linear(16, 2, rngs=rngs)
        self.rngs = rngs
        self.deterministic = False

    def __call__(self, x):
        h = nnx.relu(self.hidden(x))
        if not self.deterministic:
            h = h + 0.1 * jax.random.normal(self.rngs.noise(), h.shape)
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
        (jax.random.normal(jax.random.key(1), (8, 8)), jax.random.randint(jax.random.key(2), (8,), 0, 2)),
        state=(model, optimizer),
    )
