import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Net(nnx.Module):
    def __init__(self, rngs):
        self.embed, self.out = nnx.Embed(20, 8, rngs=rngs), nnx.Linear(8, 20, rngs=rngs)
        self.rnn = nnx.RNN(nnx.GRUCell(8, 8, rngs=rngs))

    def __call__(self, ids):
        return self.out(self.rnn(self.embed(ids)))


def loss_fn(model, ids):
    inputs, targets = ids[:, :-1], ids[:, 1:]
    losses = optax.softmax_cross_entropy_with_integer_labels(model(inputs), targets)
    return losses.mean()


def training():
    model = Net(nnx.Rngs(0))
    mask = jnp.arange(9) < jnp.array([9, 3, 4, 5])[:, None]
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(
        step, jax.random.randint(jax.random.key(1), (4, 9), 1, 20) * mask, state=(model, optimizer)
    )
