import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Net(nnx.Module):
    def __init__(self, rngs):
        self.embed, self.out = nnx.Embed(20, 8, rngs=rngs), nnx.Linear(8, 5, rngs=rngs)
        self.rnn = nnx.RNN(nnx.GRUCell(8, 8, rngs=rngs))

    def __call__(self, ids, real):
        return self.out(self.rnn(self.embed(ids) * real[:, :, None]))


def loss_fn(model, batch):
    logits = model(batch["ids"], batch["real"])
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["tags"])
    return (losses * batch["real"]).sum() / batch["real"].sum()


def training():
    model = Net(nnx.Rngs(0))
    real = jnp.arange(8) < jnp.array([8, 3, 4, 5])[:, None]
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)
    ids = jax.random.randint(jax.random.key(1), (4, 8), 1, 20) * real
    tags = jax.random.randint(jax.random.key(2), (4, 8), 1, 5) * real

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(step, {"ids": ids, "real": real, "tags": tags}, state=(model, optimizer))
