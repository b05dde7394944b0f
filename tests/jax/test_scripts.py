"""Scripts in the manner of the official examples, run unchanged by the command: silent if right, named if wrong.

A script that is given the word "buggy" has the fault that is marked in it. All run in one process of their own, with
quick compilation.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jax")

from tests.jax.programs import expected

HERE = Path(__file__).parent / "scripts"
SCRIPTS = sorted(path.stem for path in HERE.glob("*.py"))
BUGGY = [name for name in SCRIPTS if expected(HERE / f"{name}.py")]
RUNS = [*((name, "") for name in SCRIPTS), *((name, "buggy") for name in BUGGY)]

DRIVER = """
import json, sys, pathlib
from click.testing import CliRunner
from smokestep.cli import cli

here, out = map(pathlib.Path, sys.argv[1:3])
for run in json.loads(sys.argv[3]):
    name, word = run
    report = out / f"{name}{word}.json"
    arguments = ["run", "--quiet", "--format", "json", "--output", str(report), str(here / f"{name}.py")]
    code = CliRunner().invoke(cli, [*arguments, *([word] if word else [])]).exit_code
    (out / f"{name}{word}.code").write_text(str(code))
"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], tuple[int, dict[str, Any]]]:
    """The exit code and the report of every run."""
    out = tmp_path_factory.mktemp("scripts")
    quick = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    source = str(HERE.parents[2] / "src")
    environment = {**os.environ, "XLA_FLAGS": quick, "JAX_PLATFORMS": "cpu", "PYTHONPATH": source}
    command = [sys.executable, "-c", DRIVER, str(HERE), str(out), json.dumps(RUNS)]
    ended = subprocess.run(command, cwd=out, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return {
        (name, word): (
            int((out / f"{name}{word}.code").read_text()),
            json.loads((out / f"{name}{word}.json").read_text()),
        )
        for name, word in RUNS
    }


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_healthy_script_is_silent(name: str, reports: Any) -> None:
    code, report = reports[name, ""]
    assert report["findings"] == []
    assert (code, report["steps"], report["verdict"]) == (0, 3, "pass")


@pytest.mark.parametrize("name", BUGGY)
def test_a_buggy_script_is_told_its_fault(name: str, reports: Any) -> None:
    code, report = reports[name, "buggy"]
    marks = expected(HERE / f"{name}.py")
    found = {(each["check"], each["cause"]["line"]) for each in report["findings"]}
    assert found == set(marks)
    assert code == (0 if all(mark["unsure"] for mark in marks.values()) else 1)


@pytest.mark.parametrize("run", RUNS)
def test_no_check_breaks_down(run: tuple[str, str], reports: Any) -> None:
    assert [name for name, each in reports[run][1]["checks"].items() if "failed" in (each.get("reason") or "")] == []
