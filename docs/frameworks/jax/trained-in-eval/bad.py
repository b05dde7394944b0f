import jax
import optax
from flax import nnx

import smokestep


def loss_fn(model, batch):
    x, y = batch
    return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()


def training():
    rngs = nnx.Rngs(0)
    hidden, drop, out = nnx.Linear(3, 8, rngs=rngs), nnx.Dropout(0.5, rngs=rngs), nnx.Linear(8, 2, rngs=rngs)
    model = nnx.Sequential(hidden, nnx.relu, drop, out)
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def train_step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    def step(model, optimizer, batch):
        loss = train_step(model, optimizer, batch)
        model.eval()
        return {"loss": loss, "accuracy": (model(batch[0]).argmax(1) == batch[1]).mean()}

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(1), (8, 3)), jax.random.randint(jax.random.key(2), (8,), 0, 2)),
        state=(model, optimizer),
    )
