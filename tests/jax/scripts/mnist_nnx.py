"""After flax/examples/mnist on NNX: module, optimizer and metrics are changed in place by a jitted step."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

BUGGY = "buggy" in sys.argv


class CNN(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(1, 4, kernel_size=(3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.linear1 = nnx.Linear(64, 16, rngs=rngs)
        self.dropout = nnx.Dropout(0.1, rngs=rngs)
        self.linear2 = nnx.Linear(16, 10, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.norm(self.conv(x)))
        x = nnx.avg_pool(x, window_shape=(2, 2), strides=(2, 2)).reshape(x.shape[0], -1)
        x = self.dropout(nnx.relu(self.linear1(x)))
        if BUGGY:
            x = jax.lax.stop_gradient(x)  # BUG: gradient-cut
        return self.linear2(x)


def loss_fn(model, batch):
    logits = model(batch["image"])
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()
    return loss, logits


@nnx.jit
def train_step(model, optimizer, metrics, batch):
    (loss, logits), grads = nnx.value_and_grad(loss_fn, has_aux=True)(model, batch)
    metrics.update(loss=loss, logits=logits, labels=batch["label"])
    optimizer.update(model, grads)


@nnx.jit
def eval_step(model, metrics, batch):
    loss, logits = loss_fn(model, batch)
    metrics.update(loss=loss, logits=logits, labels=batch["label"])


data = np.random.default_rng(0)
train = [
    {"image": data.random((16, 8, 8, 1), np.float32), "label": jnp.asarray(data.integers(0, 10, 16))} for _ in range(6)
]
model = CNN(rngs=nnx.Rngs(0))
optimizer = nnx.Optimizer(model, optax.adamw(0.005, 0.9), wrt=nnx.Param)
metrics = nnx.MultiMetric(accuracy=nnx.metrics.Accuracy(), loss=nnx.metrics.Average("loss"))

for step, batch in enumerate(train * 3):
    model.train()
    train_step(model, optimizer, metrics, batch)
    if step % 2 == 1:
        print({name: float(value) for name, value in metrics.compute().items()})
        metrics.reset()
        model.eval()
        eval_step(model, metrics, train[0])
        metrics.reset()
