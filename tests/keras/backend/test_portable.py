"""The faults that are to be told on every backend of Keras, and what looks like them: JAX and PyTorch each in a process
of its own, TensorFlow in this one."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).with_name("portable.py")
HEALTHY = (
    "fit_convolutional", "loop_convolutional", "fit_softmax", "fit_one_hot", "fit_sigmoid", "fit_logit", "loop_sigmoid",
    "fit_two_heads", "fit_transferred", "loop_transferred", "loop_plain", "fit_recurrent", "fit_regularized",
    "fit_autoencoder", "loop_game",
)  # fmt: skip
FAULTS = {  # the check, what is named, what stands on the line
    "mode_normalization": ("inference-normalization", "batch_normalization", "**said)"),
    "scores_for_probabilities": ("missing-log-softmax", "", "("),
    "scores_for_probabilities_in_a_loop": ("missing-log-softmax", "", "said"),
    "one_unit_softmax": ("single-logit", "", "("),
    "stopped": ("gradient-cut", "dense", "("),
    "generator_moves_the_critic": ("foreign-update", "dense_2.kernel", "optimizer.apply"),
}
TRAINED_IN_EVAL = {"mode_dropout": ("trained-in-eval", "", "model(x, **said)")}
TWICE = {  # TensorFlow's backend goes back to the scores behind a softmax by itself
    "probabilities_for_scores": ("double-softmax", "", "ops.softmax(self.out(x))"),
    "sigmoid_for_scores": ("double-softmax", "", "said"),
}
UNTRACKED = {
    "layer_made_in_call": ("unregistered-parameter", "kernel", "layers.Dense(6"),
    "untracked_layers": ("unregistered-parameter", "kernel", "self.blocks = {"),
}
TOLD = {
    "tensorflow": {**FAULTS, **TRAINED_IN_EVAL, **UNTRACKED},
    "torch": {**FAULTS, **TRAINED_IN_EVAL, **TWICE},
    "jax": {**FAULTS, **TWICE, "scores_for_probabilities_in_a_loop": ("missing-log-softmax", "", "loss_fn(y, output)")},
}
OPEN = {
    "torch": dict.fromkeys(UNTRACKED, "unregistered-parameter"),
    "jax": {"mode_dropout": "trained-in-eval", **dict.fromkeys(UNTRACKED, "unregistered-parameter")},
}
ASKED = [(backend, name) for backend in TOLD for name in (*HEALTHY, *TOLD[backend], *OPEN.get(backend, ()))]
LOUD = {"class_numbers_for_one_hot": "must have the same shape"}  # Keras itself raises


@pytest.fixture(scope="session")
def told():
    """What was found in every program, by backend; each process is started when it is first asked for."""
    known = {}

    def ask(backend):
        if backend not in known:
            known[backend] = _here() if backend == "tensorflow" else _elsewhere(backend)
        return known[backend]

    return ask


def _here():
    spec = importlib.util.spec_from_file_location("portable", PROGRAMS)
    programs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(programs)
    return {name: programs.examined(name) for name in (*HEALTHY, *TOLD["tensorflow"], *LOUD)}


def _elsewhere(backend):
    names = [name for each, name in ASKED if each == backend]
    done = subprocess.run(
        [sys.executable, PROGRAMS, *names, *LOUD],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = {}
    for line in done.stdout.splitlines():
        found |= json.loads(line) if line.startswith('{"') else {}
    return found


@pytest.mark.filterwarnings("ignore")  # Keras warns of some of these faults
@pytest.mark.parametrize("backend", TOLD)
@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_trainings_are_silent(told, backend, name):
    report = told(backend)[name]
    assert not report["found"]
    assert report["error"] is None
    assert not report["notes"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("backend", "name"), [(each, name) for each in TOLD for name in TOLD[each]])
def test_faults_are_told(told, backend, name):
    report, (check, named, code) = told(backend)[name], TOLD[backend][name]
    assert set(report["found"]) == {check}
    severity, where, line = report["found"][check]
    assert severity == ("suspicion" if check == "trained-in-eval" else "defect")
    assert named in where
    assert code in line


@pytest.mark.parametrize(("backend", "name"), [(each, name) for each in OPEN for name in OPEN[each]])
def test_what_is_not_seen_is_open(told, backend, name):
    report = told(backend)[name]
    assert report["verdicts"][OPEN[backend][name]] == "open"
    assert "defect" not in [severity for severity, *_ in report["found"].values()]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("backend", TOLD)
@pytest.mark.parametrize("name", LOUD)
def test_what_keras_refuses_is_told_as_its_error(told, backend, name):
    assert LOUD[name] in told(backend)[name]["error"]
