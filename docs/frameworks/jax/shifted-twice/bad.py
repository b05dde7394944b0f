import jax
import optax
from flax import nnx

import smokestep


class Net(nnx.Module):
    def __init__(self, rngs):
        self.embed, self.head = nnx.Embed(20, 16, rngs=rngs), nnx.Linear(16, 20, rngs=rngs)
        self.rnn = nnx.RNN(nnx.GRUCell(16, 16, rngs=rngs))

    def __call__(self, ids, labels):
        logits = self.head(self.rnn(self.embed(ids)))
        return optax.softmax_cross_entropy_with_integer_labels(logits[:, :-1], labels[:, 1:]).mean()


def loss_fn(model, ids):
    return model(ids[:, :-1], ids[:, 1:])


def training():
    model = Net(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(step, jax.random.randint(jax.random.key(1), (4, 10), 0, 20), state=(model, optimizer))
