"""`--smokestep-report`: one file with what verify and examine found, also from several workers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

TESTS = """
    import smokestep, torch
    from torch import nn

    def training():
        model = nn.Linear(3, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

        def step(batch):
            loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        return smokestep.Training(step, (torch.randn(4, 3), torch.tensor([0, 1, 0, 1])))

    def test_examined_twice():
        smokestep.examine(training)
        smokestep.examine(training, seed=1)

    def test_verified():
        smokestep.verify(training, seed=2)

    def test_none():
        pass
"""


def written(path: Path) -> list[tuple[str, Any]]:
    file = json.loads(path.read_text())
    assert file["schema"] == 1
    return [(each["test"].partition("::")[2], each["report"]["seed"]) for each in file["reports"]]


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_every_report_of_the_session_is_in_the_file(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess(*workers, "--smokestep-report=out/reports.json")
    result.assert_outcomes(passed=3)
    reports = written(pytester.path / "out" / "reports.json")
    assert reports == [("test_examined_twice", 0), ("test_examined_twice", 1), ("test_verified", 2)]


def test_a_defect_shows_its_report_and_none_of_our_frames(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS.replace("            optimizer.zero_grad()\n", ""))
    result = pytester.runpytest_inprocess("-k", "verified", "--smokestep-report=reports.json")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*stale-gradients*"])
    result.stdout.no_fnmatch_line("*engine.py*")
    (only,) = json.loads((pytester.path / "reports.json").read_text())["reports"]
    assert only["report"]["verdict"] == "fail"
