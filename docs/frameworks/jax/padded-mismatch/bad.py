import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Net(nnx.Module):
    def __init__(self, rngs):
        self.embed, self.out = nnx.Embed(20, 8, rngs=rngs), nnx.Linear(8, 2, rngs=rngs)

    def __call__(self, ids, attention_mask):
        h = self.embed(ids) * attention_mask[:, :, None]
        h = h.mean(axis=1)
        return self.out(h)


def loss_fn(model, batch):
    logits = model(batch["ids"], batch["attention_mask"])
    return optax.softmax_cross_entropy_with_integer_labels(logits, batch["y"]).mean()


def training():
    model = Net(nnx.Rngs(0))
    mask = (jnp.arange(6) < jnp.array([6, 3, 4, 5])[:, None]).astype(jnp.int32)
    ids = jax.random.randint(jax.random.key(1), (4, 6), 1, 20) * mask
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    return smokestep.Training(
        step, {"ids": ids, "attention_mask": mask, "y": jnp.array([0, 1, 1, 0])}, state=(model, optimizer)
    )
