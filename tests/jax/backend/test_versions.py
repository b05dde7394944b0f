"""A version of JAX that is built otherwise than the hooks expect is refused with the reason, and breaks no step."""

from __future__ import annotations

from typing import Any

import jax
import pytest
from jax._src.interpreters import ad

import smokestep


def plain() -> smokestep.Training:
    """Gradient descent by hand."""

    def step(weight: Any, batch: Any) -> Any:
        return weight - 0.1 * jax.grad(lambda w: (w * batch).sum() ** 2)(weight)

    return smokestep.Training(step, jax.numpy.ones(3), state=jax.numpy.ones(3))


def test_other_arguments_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def linearize(traceable: Any, primals_ft: Any, in_nzs: Any, has_aux: bool = False, is_vjp: bool = False) -> Any: ...

    monkeypatch.setattr(ad, "linearize", linearize)
    report = smokestep.examine(plain)
    assert report.verdict.value == "open" and "built otherwise" in report.notes[0], report


def test_a_place_that_is_gone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ad, "linearize")
    assert "linearize is not there" in smokestep.examine(plain).notes[0]
