"""The score switches the model to evaluation, and nothing switches it back: from the second step on, none is dropped."""

from __future__ import annotations

import jax
import optax
from flax import nnx

import smokestep


class Net(nnx.Module):
    def __init__(self, rngs):
        self.first, self.last = nnx.Linear(6, 16, rngs=rngs), nnx.Linear(16, 3, rngs=rngs)
        self.drop = nnx.Dropout(0.4, rngs=rngs)

    def __call__(self, x):
        return self.last(self.drop(nnx.relu(self.first(x))))


def score(model, batch):
    model.eval()  # BUG: trained-in-eval
    return (model(batch[0]).argmax(-1) == batch[1]).mean()


def loss_fn(model, batch):
    x, y = batch
    return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()


@nnx.jit
def train_step(model, optimizer, batch):
    loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
    optimizer.update(model, grads)
    return loss


def training(back):
    model = Net(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    def step(model, optimizer, batch):
        if back:
            model.train()
        loss = train_step(model, optimizer, batch)
        return {"loss": loss, "accuracy": score(model, batch)}

    batch = jax.random.normal(jax.random.key(1), (8, 6)), jax.random.randint(jax.random.key(2), (8,), 0, 3)
    return smokestep.Training(step, batch, state=(model, optimizer))


def buggy():
    return training(back=False)


def fixed():
    return training(back=True)
