"""Healthy scripts, as they stand, run to a clean report: exit code 0, no finding, their own output still visible."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_healthy_script_passes(script: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "smokestep", "run", "--format", "json", "--output", str(report), str(script)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(report.read_text())
    assert found["findings"] == []
    assert found["verdict"] == "pass"
    assert found["steps"] >= 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json"]
