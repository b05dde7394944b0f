import jax
import optax
from flax import nnx

import smokestep


class Net(nnx.Module):
    def __init__(self, rngs):
        self.embed, self.head = nnx.Embed(20, 16, rngs=rngs), nnx.Linear(16, 20, rngs=rngs)

    def __call__(self, ids):
        x = self.embed(ids)[:, :, None, :]  # one head
        y = jax.nn.dot_product_attention(x, x, x)
        return self.head((x + y)[:, :, 0])


def loss_fn(model, ids):
    logits = model(ids[:, :-1])
    return optax.softmax_cross_entropy_with_integer_labels(logits, ids[:, 1:]).mean()


def training():
    model = Net(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(step, jax.random.randint(jax.random.key(1), (4, 10), 0, 20), state=(model, optimizer))
