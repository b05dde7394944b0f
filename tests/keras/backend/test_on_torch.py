"""Keras on PyTorch, in a process of its own: one for all programs, as the imports take longest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEALTHY = ("healthy", "healthy_fit", "frozen", "gathered")
FAULTS = {
    "dead": ("dead-branch", "hidden = self.first(image)"),
    "one_unit": ("single-logit", "model.train_on_batch"),
}


@pytest.fixture(scope="module")
def told():
    """What was found in every program."""
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("programs.py"), *HEALTHY, *FAULTS, "callback"],
        env={**os.environ, "KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_trainings_are_silent(told, name):
    assert not told[name]["found"]
    assert told[name]["error"] is None
    assert not told[name]["notes"]
    assert told[name]["optimizers"] == {"optimizer": "SGD" if name == "healthy_fit" else "Adam"}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_told_on_their_line(told, name):
    check, code = FAULTS[name]
    assert set(told[name]["found"]) == {check}
    assert code in told[name]["found"][check][1]


def test_names_are_those_of_keras(told):
    assert "conv2d.kernel" in told["dead"]["found"]["dead-branch"][0]


def test_a_callback_watches_a_fit(told):
    seen = told["callback"]
    assert seen["epochs"] == 2
    assert seen["steps"] == 3
    assert seen["kept"]
    assert not seen["healthy"]
    assert not seen["short"]
    assert seen["raised"]
    assert seen["dead"] == ["dead-branch"]
