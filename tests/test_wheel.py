"""The wheel: built, installed into an environment of its own, and used from outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TRAIN = """
import smokestep, torch
from torch import nn

print(smokestep.__file__)
model = nn.Linear(4, 1)
parts = dict(model=model, loss=nn.MSELoss(), batch=(torch.randn(8, 4), torch.randn(8, 1)))
print(smokestep.verify(optimizer=torch.optim.SGD(model.parameters(), lr=0.1), **parts).verdict.value)
try:
    smokestep.verify(optimizer=torch.optim.SGD(model.parameters(), lr=0.0), **parts)
except smokestep.TrainingDefect as defect:
    print([each.check for each in defect.report.defects])
"""
TEST = """
import pytest, torch

@pytest.mark.smokestep
def test_leaks():
    torch.set_default_dtype(torch.float64)
"""


def run(*command: object, cwd: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    said = run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    built = list(out.glob("*.whl"))
    assert len(built) == 1, said
    return built[0]


@pytest.fixture(scope="module")
def environment(wheel: Path) -> Path:
    """A new environment with nothing but the wheel; the frameworks are lent by the one that runs the tests."""
    place = wheel.parent / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", place, cwd=wheel.parent)
    python = place / "bin" / "python"
    (packages,) = place.glob("lib/python*/site-packages")
    (packages / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--no-deps",
        "--no-index",
        "--ignore-installed",
    ]
    said = run(*install, wheel, cwd=wheel.parent)
    assert (place / "bin" / "smokestep").exists(), said
    return place


def test_it_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {"smokestep/py.typed", "smokestep/checks/__init__.py", "_smokestep_pytest.py"} <= set(names)
    assert any(name.endswith("LICENSE") for name in names)
    assert {name.split("/")[0] for name in names} == {"smokestep", "_smokestep_pytest.py", "smokestep-0.1.0.dist-info"}


def test_it_runs_from_outside_the_checkout(environment: Path, tmp_path: Path) -> None:
    smokestep = environment / "bin" / "smokestep"
    assert "0.1.0" in run(smokestep, "--version", cwd=tmp_path)
    assert "dead-branch" in run(smokestep, "list", cwd=tmp_path)
    (tmp_path / "train.py").write_text(TRAIN)
    said = run(environment / "bin" / "python", "train.py", cwd=tmp_path).splitlines()
    assert said[0].startswith(str(environment)), said
    assert said[1:] == ["pass", "['zero-learning-rate']"]


def test_its_pytest_plugin_is_found(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    said = run(environment / "bin" / "python", "-m", "pytest", "-q", cwd=tmp_path)
    assert "test_leaks left changed (put back now): default dtype" in said
