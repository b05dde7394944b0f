"""A layer that no step reads is told only where nothing could reach it: by its name, by a string, by going through."""

from __future__ import annotations

import pytest

pytest.importorskip("flax")

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import smokestep


class Named(nnx.Module):
    """A second head that another method uses, which this training never calls."""

    def __init__(self, rngs):
        self.trunk = nnx.Linear(4, 8, rngs=rngs)
        self.head_of_named = nnx.Linear(8, 1, rngs=rngs)
        self.other_of_named = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        return self.head_of_named(nnx.relu(self.trunk(x)))

    def classify(self, x):
        return self.other_of_named(nnx.relu(self.trunk(x)))


class Wrapper(nnx.Module):
    """A whole block that is called under a condition; its own layers are named in its own call."""

    def __init__(self, rngs, deep=False):
        self.block = Named(rngs)
        self.extra = Named(rngs)
        self.deep = deep

    def __call__(self, x):
        return self.extra(x) if self.deep else self.block(x)


def examined(build):
    def training():
        model = build(nnx.Rngs(0))
        optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)

        @nnx.jit
        def step(model, optimizer, batch):
            x, y = batch
            loss, grads = nnx.value_and_grad(lambda model: jnp.mean((model(x) - y) ** 2))(model)
            optimizer.update(model, grads)
            return loss

        batch = jax.random.normal(jax.random.key(1), (8, 4)), jax.random.normal(jax.random.key(2), (8, 1))
        return smokestep.Training(step, batch, state=(model, optimizer))

    return smokestep.examine(training, select=["unused-layer"])


@pytest.mark.parametrize("build", [Named, Wrapper])
def test_what_is_named_anywhere_is_not_told(build):
    report = examined(build)
    assert not report.findings and not report.error
    assert report.checks["unused-layer"].verdict.value == "open"
