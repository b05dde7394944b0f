"""A forecast of one step of series of different lengths: errors are masked, and divided by all positions."""

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Forecast(nnx.Module):
    def __init__(self, rngs):
        self.inside = nnx.Conv(2, 16, (3,), padding="CAUSAL", rngs=rngs)
        self.out = nnx.Linear(16, 2, rngs=rngs)

    def __call__(self, series, mask):
        return self.out(nnx.relu(self.inside(series * mask[..., None])))


def training(by_mask):
    model = Forecast(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    def loss_fn(model, batch):
        series, mask, ahead = batch
        errors = optax.squared_error(model(series, mask), ahead).mean(-1) * mask
        return errors.sum() / mask.sum() if by_mask else errors.mean()  # BUG?: padded-loss

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
        optimizer.update(model, grads)
        return loss

    mask = (jnp.arange(10) < jnp.array([10, 6, 4, 7])[:, None]).astype(jnp.float32)
    keys = jax.random.split(jax.random.key(1))
    series, ahead = (jax.random.normal(key, (4, 10, 2)) * mask[..., None] for key in keys)
    return smokestep.Training(step, (series, mask, ahead), state=(model, optimizer))


def buggy():
    return training(False)


def fixed():
    return training(True)
