"""A loop that is watched: it computes what it would compute unwatched, and is left alone once enough was seen."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import smokestep
from smokestep.backends import jax as backend
from smokestep.backends.jax import StopWatching


def loss_of(params: Any, x: Any) -> Any:
    return jnp.mean((jnp.tanh(x @ params["w"]) @ params["v"] - x[:, :1]) ** 2)


@partial(jax.jit, donate_argnums=0)
def step(params: Any, x: Any) -> Any:
    loss, grads = jax.value_and_grad(loss_of)(params, x)
    return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), loss


def trained(count: int = 6) -> Any:
    data = np.random.default_rng(0)
    params = {name: jnp.asarray(data.normal(size=size), "float32") for name, size in (("w", (3, 4)), ("v", (4, 1)))}
    batches = data.normal(size=(count, 8, 3)).astype(np.float32)
    for x in batches:
        params, _ = step(params, x)
    return params


def test_a_loop_that_gives_its_arguments_away_goes_on_as_ever() -> None:
    plain = trained()
    with smokestep.watch() as watched:
        seen = trained()
    assert (watched.report.steps, watched.report.findings) == (3, ())
    for name in plain:
        np.testing.assert_allclose(np.asarray(plain[name]), np.asarray(seen[name]), rtol=1e-5)
    assert all((np.asarray(trained()[name]) == np.asarray(plain[name])).all() for name in plain)


def test_a_stop_is_raised_in_the_loop_and_again_if_it_is_swallowed() -> None:
    stops: list[int] = []
    with backend.live(2, stopping=lambda: stops.append(1)) as live:
        for _ in range(2):
            with pytest.raises(StopWatching):
                trained()
    assert len(stops) == 2
    assert live.recording().steps.count == 2


def test_a_loop_that_differentiates_nothing_has_no_steps() -> None:
    with smokestep.watch() as watched:
        jax.jit(loss_of)({"w": jnp.ones((3, 4)), "v": jnp.ones((4, 1))}, jnp.ones((2, 3)))
    assert watched.report.steps == 0
    assert {each.verdict.value for each in watched.report.checks.values()} == {"open"}
    assert "no training was seen" in str(watched.report)


def test_a_program_that_was_compiled_ahead_of_time_is_no_pass() -> None:
    params, x = {"w": jnp.ones((3, 4)), "v": jnp.ones((4, 1))}, jnp.ones((2, 3))
    ahead = jax.jit(lambda params, x: step(params, x)).lower(params, x).compile()
    with smokestep.watch() as watched:
        for _ in range(4):
            params, _ = ahead(params, x)
    assert watched.report.verdict.value == "open"
    assert "compiled ahead of time" in str(watched.report)


def test_a_loop_that_raises_is_told_with_what_was_seen() -> None:
    with pytest.raises(KeyError), smokestep.watch() as watched:
        trained(2)
        raise KeyError("no more")
    assert watched.report.error is not None
    assert watched.report.steps == 1
