"""Plain parts, and the assertions for a hand-written test, with objects of JAX's libraries."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("jax")
pytest.importorskip("flax")
pytest.importorskip("optax")

import jax
import optax
from flax import nnx

import smokestep


def parts() -> tuple[Any, Any]:
    rngs = nnx.Rngs(0)
    model = nnx.Sequential(nnx.Linear(4, 8, rngs=rngs), nnx.relu, nnx.Linear(8, 2, rngs=rngs))
    return model, nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)


def batch() -> tuple[Any, Any]:
    return jax.random.normal(jax.random.key(1), (8, 4)), jax.random.normal(jax.random.key(2), (8, 2))


def loss(output: Any, targets: Any) -> Any:
    return optax.squared_error(output, targets).mean()


def test_nnx_parts_are_trained() -> None:
    model, optimizer = parts()
    report = smokestep.examine(model=model, loss=loss, optimizer=optimizer, batch=batch(), select=["dead-branch"])
    assert not report.findings and not report.error
    assert report.steps == 3 and list(report.training.optimizers.values()) == ["Adam"]


def test_parts_without_objects_are_refused() -> None:
    model, optimizer = parts()
    with pytest.raises(TypeError, match="write a Training"):
        smokestep.examine(model={"w": jax.numpy.ones(3)}, loss=loss, optimizer=optimizer, batch=batch())
    with pytest.raises(TypeError, match=r"nnx\.Optimizer"):
        smokestep.examine(model=model, loss=loss, optimizer=optax.adam(1e-3), batch=batch())


def test_a_block_that_trains_a_module() -> None:
    model, optimizer = parts()
    other, _ = parts()

    def step() -> None:
        grads = nnx.grad(lambda model: loss(model(batch()[0]), batch()[1]))(model)
        optimizer.update(model, grads)

    with smokestep.trains(model), smokestep.untouched(other):
        step()
    with pytest.raises(smokestep.TrainingDefect, match="did not move"), smokestep.trains(other):
        step()
    with pytest.raises(smokestep.TrainingDefect, match="moved by"), smokestep.untouched(model):
        step()


def test_a_tree_cannot_be_watched() -> None:
    _, optimizer = parts()
    params = {"w": jax.numpy.ones(3)}
    with pytest.raises(TypeError, match="before and after"), smokestep.trains(params):
        pass
    with pytest.raises(TypeError, match="give the model"), smokestep.trains(optimizer):
        pass
