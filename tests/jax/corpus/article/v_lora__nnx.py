"""LoRA with both factors zero never trains, while the head does; with one of them random, that one moves only later."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class LoraLinear(nnx.Module):
    def __init__(self, a_init, rngs):
        self.base = nnx.Linear(8, 16, rngs=rngs)
        self.a = nnx.LoRAParam(a_init(rngs.params(), (8, 2)))
        self.b = nnx.LoRAParam(jnp.zeros((2, 16)))

    def __call__(self, x):
        return self.base(x) + x @ self.a @ self.b  # BUG: zero-product adapted.a, adapted.b


class Net(nnx.Module):
    def __init__(self, a_init, rngs):
        self.adapted = LoraLinear(a_init, rngs)
        self.head = nnx.Linear(16, 3, rngs=rngs)

    def __call__(self, x):
        return self.head(nnx.tanh(self.adapted(x)))


def training(a_init):
    model = Net(a_init, nnx.Rngs(0))
    trained = nnx.Any(nnx.LoRAParam, nnx.All(nnx.Param, nnx.PathContains("head")))
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=trained)

    @nnx.jit
    def step(model, optimizer, batch):
        x, y = batch

        def loss_fn(model):
            return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

        loss, grads = nnx.value_and_grad(loss_fn, argnums=nnx.DiffState(0, trained))(model)
        optimizer.update(model, grads)
        return loss

    x, y = jax.random.normal(jax.random.key(1), (16, 8)), jax.random.randint(jax.random.key(2), (16,), 0, 3)
    return smokestep.Training(step, (x, y), state=(model, optimizer))


def buggy():
    return training(nnx.initializers.zeros)


def fixed():
    return training(nnx.initializers.normal(1.0))
