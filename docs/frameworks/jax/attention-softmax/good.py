import jax
import optax
from flax import nnx

import smokestep


class Attention(nnx.Module):
    def __init__(self, rngs):
        self.q, self.k, self.v = (nnx.Linear(8, 8, rngs=rngs) for _ in range(3))
        self.head = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        scores = self.q(x) @ self.k(x).swapaxes(1, 2) / 8**0.5
        weights = nnx.softmax(scores, axis=2)
        return self.head((weights @ self.v(x)).mean(1))


def loss_fn(model, batch):
    x, y = batch
    return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()


def training():
    model = Attention(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(
        step,
        (jax.random.normal(jax.random.key(1), (4, 6, 8)), jax.random.randint(jax.random.key(2), (4,), 0, 3)),
        state=(model, optimizer),
    )
