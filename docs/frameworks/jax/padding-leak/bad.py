import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Net(nnx.Module):
    def __init__(self, rngs):
        self.embed, self.out = nnx.Embed(20, 8, rngs=rngs), nnx.Linear(8, 2, rngs=rngs)
        self.rnn = nnx.RNN(nnx.GRUCell(8, 8, rngs=rngs))

    def __call__(self, ids, lengths):
        hidden = self.rnn(self.embed(ids))
        last = hidden[:, -1] / lengths[:, None]
        return self.out(last)


def loss_fn(model, batch):
    ids, lengths, y = batch
    return optax.softmax_cross_entropy_with_integer_labels(model(ids, lengths), y).mean()


def training():
    model = Net(nnx.Rngs(0))
    lengths = jnp.array([6, 3, 4, 5])
    ids = jax.random.randint(jax.random.key(1), (4, 6), 1, 20) * (jnp.arange(6) < lengths[:, None])
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(step, (ids, lengths, jnp.array([0, 1, 1, 0])), state=(model, optimizer))
