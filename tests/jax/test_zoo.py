"""Healthy JAX trainings raise no defect, and no suspicion but those that their file declares with a reason.

A file of `zoo/` holds functions `training_...`, and may hold `SUSPICIONS`: name of a function -> check -> why it is
true or tolerable. A defect cannot be declared.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

pytest.importorskip("jax")

from tests.jax.plain import moved
from tests.jax.programs import ZOO, load, trainings

import smokestep


def names(path: Path) -> list[str]:
    """The trainings of a file, without importing it."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return [each.name for each in body if isinstance(each, ast.FunctionDef) and each.name.startswith("training_")]


ENTRIES = [pytest.param(path, name, id=name.removeprefix("training_")) for path in ZOO for name in names(path)]


@pytest.mark.parametrize(("path", "name"), ENTRIES)
def test_healthy_training_stays_silent(path: Path, name: str) -> None:
    report = smokestep.examine(trainings(path)[name])
    declared = getattr(load(path), "SUSPICIONS", {}).get(name, {})

    assert report.error is None
    assert report.steps, f"nothing was seen of it: {report}"
    assert [str(each) for each in report.defects] == []
    assert [str(each) for each in report.suspicions if each.check not in declared] == []
    assert set(declared) == {each.check for each in report.suspicions}, "declared, and not raised any more"


@pytest.mark.parametrize(("path", "name"), ENTRIES)
def test_entry_really_trains(path: Path, name: str) -> None:
    assert moved(trainings(path)[name]()) > 0


def test_zoo_is_wide_enough() -> None:
    assert len(ENTRIES) >= 30


def test_every_declared_suspicion_has_a_reason() -> None:
    declared = [each for path in ZOO for each in getattr(load(path), "SUSPICIONS", {}).values()]
    assert [reason for checks in declared for reason in checks.values() if len(reason) < 20] == []
