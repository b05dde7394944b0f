"""TensorFlow 1: programs with sessions, as they were written in 2017. What is broken is told on its line, what is healthy
gives no finding."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.corpus.cases import MARKER

pytest.importorskip("tensorflow")
pytest.importorskip("tf_slim")
pytest.importorskip("tf_keras")

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
CASES = sorted(str(path.relative_to(HERE)) for path in (HERE / "corpus").glob("*/*.py"))
HEALTHY = sorted(
    f"{path.name}:{line.split('(')[0].removeprefix('def ')}"
    for path in (HERE / "zoo").glob("*.py")
    for line in path.read_text().splitlines()
    if line.startswith("def training_")
)


@functools.cache
def examined(folder: str, legacy: bool = False) -> dict[tuple[str, str], dict[str, Any]]:
    """What one process found in every file of a folder, by file and function."""
    files = sorted(map(str, (HERE / folder).glob("**/*.py")))
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
    environment.update({"TF_USE_LEGACY_KERAS": "1"} if legacy else {})
    command = [sys.executable, "-W", "ignore", str(HERE / "examined.py"), *files]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-4000:]
    reports = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {(str(Path(each["file"]).relative_to(HERE)), each["name"]): each for each in reports}


def told(report: dict[str, Any]) -> list[tuple[str, str, int]]:
    return sorted((each["check"], each["severity"], each["line"]) for each in report["findings"])


@pytest.mark.parametrize("case", CASES)
def test_what_is_broken_is_told_on_its_line(case: str) -> None:
    report = examined("corpus")[case, "buggy"]
    marked = [
        (mark["check"], "suspicion" if mark["unsure"] else "defect", number)
        for number, line in enumerate((HERE / case).read_text().splitlines(), start=1)
        for mark in MARKER.finditer(line)
    ]
    found = told(report)
    if not any(line for _, _, line in found):  # a declaration that was not kept has no line
        marked = [(check, severity, 0) for check, severity, _ in marked]
    assert found == sorted(marked), report["findings"]


@pytest.mark.parametrize("case", CASES)
def test_what_is_mended_gives_no_finding(case: str) -> None:
    report = examined("corpus")[case, "fixed"]
    assert told(report) == [] and report["notes"] == []


@pytest.mark.parametrize("name", HEALTHY)
def test_what_is_healthy_gives_no_finding(name: str) -> None:
    file, _, function = name.partition(":")
    report = examined("zoo")[f"zoo/{file}", function]
    assert told(report) == [] and report["notes"] == []
    assert report["verdicts"]["dead-branch"] == "pass"


def test_an_expert_that_was_set_apart_without_a_list_is_no_defect() -> None:
    report = examined("apart")["apart/transfer.py", "training_transfer_learning"]
    assert told(report) == [("gradient-cut", "suspicion", 18)]


def test_layers_of_the_time_run_on_legacy_keras() -> None:
    reports = {name: report for (_, name), report in examined("legacy", legacy=True).items()}
    assert told(reports["training_estimator_style_convnet"]) == []
    assert told(reports["training_dynamic_rnn"]) == [] and reports["training_dynamic_rnn"]["notes"] == []
    assert told(reports["training_with_mode_of_evaluation"]) == [("inference-normalization", "defect", 22)]
    assert told(reports["training_without_updates"]) == [("frozen-statistics", "suspicion", 22)]


def test_what_is_not_seen_never_passes() -> None:
    from smokestep.backends.gaps import SESSIONS as GAPS

    verdicts = examined("zoo")["zoo/games.py", "training_ddpg"]["verdicts"]
    assert {verdicts[name] for name in set(GAPS) & set(verdicts)} <= {"open", "notApplicable"}
    assert verdicts["batch-leak"] == verdicts["future-leak"] == "open"  # an experiment, which is not made


def test_hints_speak_of_graphs() -> None:
    report = examined("corpus")["corpus/mode/frozen_statistics__update_ops.py", "buggy"]
    assert "tf.GraphKeys.UPDATE_OPS" in report["findings"][0]["message"]
    assert "(graph and session)" in report["framework"]
