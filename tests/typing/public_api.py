"""What a type checker must say about the public names; read by mypy in `make check`, never run."""

from __future__ import annotations

from typing import Any

from typing_extensions import assert_type

import smokestep


def step(batch: Any) -> None: ...


def training() -> smokestep.Training:
    return smokestep.Training(step, [1, 2], trains="head.*", output_range=(0.0, None), task="regression")


report = smokestep.examine(training, select=("loss", "dead-branch"), seed=1, strict=True)
assert_type(report, smokestep.Report)
assert_type(report.findings, tuple[smokestep.Finding, ...])
assert_type(report.to_json(), str)
assert_type(smokestep.Report.from_json("{}"), smokestep.Report)
smokestep.verify(training())
smokestep.verify(model=None, loss=None, optimizer=None, batch=None)

try:
    smokestep.verify(training)
except smokestep.TrainingDefect as defect:
    assert_type(defect.report, smokestep.Report)

with smokestep.watch() as watched:
    pass
assert_type(watched.report, smokestep.Report)

with smokestep.trains(object()), smokestep.untouched(object()):
    step(None)

smokestep.allow("dead-branch", "conv1.*", why="it is there for the exported checkpoint")

smokestep.allow("dead-branch", "conv1.*")  # type: ignore[call-arg]  # an allowance needs its reason
smokestep.examine(training, 3)  # type: ignore[call-arg]  # every option is a keyword
smokestep.Training(step, task="guessing")  # type: ignore[arg-type]  # a task that is none
