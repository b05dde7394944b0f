"""What JAX cannot judge: every gap is the verdict of its check on a healthy training, and no check passes in its stead.

That the checks without a gap do see their faults is held by the pages (`test_pages.py`): a page whose Bad is not told
is a gap, or the backend's to mend.
"""

from __future__ import annotations

import sys
from typing import Any

import pytest

pytest.importorskip("jax")
pytest.importorskip("optax")

import jax
import jax.numpy as jnp
import optax
from tests.jax.programs import PAGES

import smokestep
from smokestep.backends.gaps import JAX
from smokestep.checks import load
from smokestep.findings import NotApplicable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def healthy() -> smokestep.Training:
    """Plain pytrees with Optax."""
    init = jax.nn.initializers.he_normal()
    params = {
        "w1": init(jax.random.key(0), (4, 16)),
        "b1": jnp.zeros(16),
        "w2": init(jax.random.key(1), (16, 3)),
        "b2": jnp.zeros(3),
    }
    optimizer = optax.adam(1e-2)

    def loss_fn(params: Any, batch: Any) -> Any:
        x, y = batch
        hidden = jax.nn.relu(x @ params["w1"] + params["b1"])
        logits = hidden @ params["w2"] + params["b2"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    @jax.jit
    def step(params: Any, opt_state: Any, batch: Any) -> Any:
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    batch = (jax.random.normal(jax.random.key(2), (8, 4)), jnp.arange(8) % 3)
    return smokestep.Training(step, batch, state=(params, optimizer.init(params)))


@pytest.fixture(scope="module")
def report() -> smokestep.Report:
    on_request = [check.name for check in load() if check.on_request and check.name in JAX]
    return smokestep.examine(healthy, select=["default", *on_request])


@pytest.mark.parametrize("name", sorted(JAX))
def test_a_gap_is_the_verdict(name: str, report: smokestep.Report) -> None:
    gap, outcome = JAX[name], report.checks[name]
    assert outcome.verdict.value == ("notApplicable" if isinstance(gap, NotApplicable) else "open")
    assert outcome.reason == gap.reason


def test_a_healthy_training_has_no_finding(report: smokestep.Report) -> None:
    assert not report.findings and not report.error


def test_gaps_are_checks() -> None:
    assert set(JAX) <= {check.name for check in load()}
    assert list(JAX) == sorted(JAX)


def test_no_fault_that_cannot_be_written_is_judged() -> None:
    applies = tomllib.loads((PAGES / "applies.toml").read_text(encoding="utf-8"))
    nowhere = {name for name, entry in applies.items() if not entry.get("applies")}
    assert not nowhere - set(JAX), "its fault cannot be written in JAX, so there must be a gap"
