"""Unmodified training scripts under `smokestep run`: the check and the line that are marked in the script, and no other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.corpus.cases import HERE, expected

ROOT = HERE.parents[1]
SCRIPTS = {path.stem: path for path in sorted((HERE / "scripts").glob("*.py"))}


def run(script: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the report of one run."""
    command = [sys.executable, "-m", "smokestep", "run", "--quiet", "--format", "json", str(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert done.returncode in (0, 1), done.stderr + done.stdout
    return done.returncode, json.loads(done.stdout)


def told(report: dict[str, Any]) -> list[tuple[str, int, str]]:
    """Check, line and file of every finding."""
    causes = [(each["check"], each["cause"] or {}) for each in report["findings"]]
    return sorted((check, cause.get("line", 0), Path(cause.get("file", "")).name) for check, cause in causes)


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_is_judged(name: str) -> None:
    code, report = run(SCRIPTS[name])
    marked = sorted((check, line, SCRIPTS[name].name) for check, line in expected(SCRIPTS[name]))
    assert (code, told(report)) == (1, marked)


def test_digits_example_has_the_copied_lines() -> None:
    script = ROOT / "examples" / "digits.py"
    text = script.read_text().splitlines()
    dead = {number for number, line in enumerate(text, start=1) if "(x))" in line and "conv6" not in line}
    code, report = run(script)
    assert code == 1
    assert {(check, file) for check, _, file in told(report)} == {("dead-branch", "digits.py")}
    assert {each["where"]["path"] for each in report["findings"]} == {
        f"conv{n}.weight, conv{n}.bias" for n in range(1, 6)
    }
    assert {line for _, line, _ in told(report)} <= dead | {number + 1 for number in dead}


def test_digits_twin_is_silent() -> None:
    assert run(ROOT / "examples" / "digits_fixed.py", "--epochs", "1")[0] == 0
