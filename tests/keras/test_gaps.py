"""What TensorFlow's backend cannot judge never passes: every gap is held to its verdict on two healthy trainings."""

from __future__ import annotations

import functools

import pytest
from tests.keras.cases import ZOO, factory

import smokestep
from smokestep.backends.gaps import KERAS_ELSEWHERE, SESSIONS, TENSORFLOW
from smokestep.checks import load as checks
from smokestep.findings import Open

KINDS = ("classifiers.training_simple_convnet", "loops.training_from_scratch")


@functools.cache
def examined(entry: str) -> smokestep.Report:
    """The report on a healthy training, of every check."""
    return smokestep.examine(factory(*ZOO[entry]), select=["all"])


@pytest.mark.parametrize("name", sorted(TENSORFLOW))
@pytest.mark.parametrize("entry", KINDS)
def test_a_gap_has_its_verdict(entry: str, name: str) -> None:
    outcome = examined(entry).checks[name]
    assert outcome.verdict.value == ("open" if isinstance(TENSORFLOW[name], Open) else "notApplicable")
    assert outcome.reason == TENSORFLOW[name].reason


@pytest.mark.parametrize("table", [TENSORFLOW, SESSIONS, KERAS_ELSEWHERE])
def test_a_gap_is_about_a_check_and_in_its_place(table: dict[str, Open]) -> None:
    assert set(table) - {each.name for each in checks()} == set()
    assert list(table) == sorted(table)
