"""Holds the ports to their form: each says what is wrong and who reported it, marks the line, and trains on both sides.

What smokestep says of them is measured by `python -m tests.ports`, and promised here only for a few.
"""

from __future__ import annotations

import json
import warnings

import pytest
import torch
from tests.ports.__main__ import BEFORE
from tests.ports.cases import PORTS, load, marked, told
from tests.ports.measure import measured

import smokestep

SURE = ("so/softmax_before_cross_entropy", "so/zero_grad_missing")


@pytest.mark.parametrize("name", PORTS)
def test_it_tells_its_fault_and_its_source(name: str) -> None:
    words = told(name)
    assert words.fault.endswith(".") and words.source and words.symptom, words
    assert marked(name), "no line is marked with # FAULT"


@pytest.mark.parametrize("side", ["buggy", "fixed"])
@pytest.mark.parametrize("name", PORTS)
def test_it_trains(name: str, side: str) -> None:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        training = getattr(load(name), side)()
        assert isinstance(training, smokestep.Training)
        for step in training.steps.values():
            step(*([training.batch] if training.has_batch else []))


@pytest.mark.parametrize("name", SURE)
def test_a_few_are_told_with_their_line(name: str) -> None:
    result = measured(name)
    assert result.defect and result.line and not result.alarms, result


def test_the_first_run_is_of_ports_there_are() -> None:
    assert set(json.loads(BEFORE.read_text())) <= set(PORTS)
