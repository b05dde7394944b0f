"""Functions with a derivative of their own: which are told as wrong, and which are meant to differ from their slope."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

pytest.importorskip("jax")

import jax
import jax.numpy as jnp

import smokestep


def trained(function: Callable[[Any], Any], *, each: bool = False) -> Callable[[], smokestep.Training]:
    """A small training that has this function between two layers, applied to all samples or to `each`."""

    def training() -> smokestep.Training:
        keys = jax.random.split(jax.random.key(0), 4)
        params = {"w1": jax.random.normal(keys[0], (4, 8)), "w2": jax.random.normal(keys[1], (8, 2))}

        def loss_fn(params: Any, x: Any, y: Any) -> Any:
            hidden = x @ params["w1"]
            hidden = jax.vmap(function)(hidden) if each else function(hidden)
            return jnp.mean((hidden @ params["w2"] - y) ** 2)

        @jax.jit
        def step(params: Any, batch: Any) -> Any:
            loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
            return jax.tree.map(lambda p, g: p - 0.01 * g, params, grads), loss

        batch = (jax.random.normal(keys[2], (6, 4)), jax.random.normal(keys[3], (6, 2)))
        return smokestep.Training(step, batch, state=params)

    return training


def vjp(forward: Any, backward: Any, keep: Any = lambda x: x) -> Any:
    """A function with a gradient of its own: `backward(kept, g)`."""
    function = jax.custom_vjp(forward)
    function.defvjp(lambda x: (forward(x), keep(x)), lambda kept, g: (backward(kept, g),))
    return function


def with_argument() -> Any:
    """One that takes a plain number beside its array."""

    @partial(jax.custom_vjp, nondiff_argnums=(1,))
    def power(x: Any, exponent: int) -> Any:
        return x**exponent

    power.defvjp(
        lambda x, exponent: (x**exponent, x),
        lambda exponent, x, g: (g * exponent * x ** (exponent - 1),),
    )
    return lambda x: power(x / 4, 3)


def jvp(forward: Any, slope: Any) -> Any:
    """A function with a derivative of its own, forwards."""
    function = jax.custom_jvp(forward)

    @function.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        return forward(*primals), slope(*primals) * tangents[0]

    return function


MEANT = {
    "straight through": vjp(lambda x: jnp.round(x), lambda x, g: g),
    "reversal": vjp(lambda x: x, lambda x, g: -0.5 * g),
    "clipped gradient": vjp(lambda x: x, lambda x, g: jnp.clip(g, -1e-4, 1e-4)),
    "surrogate": vjp(lambda x: (x > 0).astype(x.dtype), lambda x, g: g / (1 + jnp.abs(x)) ** 2),
    "right": vjp(jnp.sin, lambda x, g: g * jnp.cos(x)),
    "right forwards": jvp(lambda x: jnp.sin(x), lambda x: jnp.cos(x)),
    "with an argument": with_argument(),
    "no gradient": vjp(jnp.tanh, lambda x, g: None),
}
WRONG = {
    "half": vjp(lambda x: x**2, lambda x, g: g * x),
    "forgotten factor": jvp(lambda x: jnp.sin(x / 5), lambda x: jnp.cos(x / 5)),
    "a term too few": vjp(lambda x: x * jnp.sin(x), lambda x, g: g * jnp.sin(x)),
}


def report_on(function: Any, each: bool = False) -> smokestep.Report:
    return smokestep.examine(trained(function, each=each), select=["wrong-gradient"])


@pytest.mark.parametrize("name", MEANT)
def test_what_is_meant_is_silent(name: str) -> None:
    report = report_on(MEANT[name])
    assert not report.findings and not report.error
    assert report.checks["wrong-gradient"].verdict.value in ("pass", "notApplicable")


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told(name: str) -> None:
    assert [each.check for each in report_on(WRONG[name]).findings] == ["wrong-gradient"]


def test_one_that_is_called_for_each_sample_is_tried_on_one() -> None:
    (finding,) = report_on(WRONG["half"], each=True).findings
    assert finding.severity is not None and finding.severity.value == "defect"
