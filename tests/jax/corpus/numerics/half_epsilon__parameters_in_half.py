"""A module in float16 is updated by Adam as it is: the epsilon that keeps its divisor from zero is zero there."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Net(nnx.Module):
    def __init__(self, param_dtype, rngs):
        self.hidden = nnx.Linear(6, 12, dtype=jnp.float16, param_dtype=param_dtype, rngs=rngs)
        self.out = nnx.Linear(12, 3, dtype=jnp.float16, param_dtype=param_dtype, rngs=rngs)

    def __call__(self, x):
        return self.out(nnx.tanh(self.hidden(x))).astype(jnp.float32)


def loss_fn(model, x, y):
    return 0.05 * optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()


def build(param_dtype):
    model = Net(param_dtype, nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, *batch)
        optimizer.update(model, grads)  # BUG: half-epsilon
        return loss

    batch = (0.01 * jax.random.normal(jax.random.key(1), (16, 6)), jnp.arange(16) % 3)
    return smokestep.Training(step, batch, state=(model, optimizer))


def buggy():
    return build(jnp.float16)


def fixed():
    return build(jnp.float32)
