"""What came out for one model: a value small enough for one line of JSON."""

from __future__ import annotations

import time
import warnings
from dataclasses import asdict, dataclass
from typing import Any

import torch

import smokestep
from smokestep.findings import Finding

from .models import Factory, factory


@dataclass(frozen=True, slots=True)
class Alarm:
    """One finding: its check, its text, and the line that it names."""

    check: str
    severity: str
    message: str
    path: str
    line: str
    code: str


@dataclass(frozen=True, slots=True)
class Row:
    """One model. `outcome`: examined, not built, raised (under smokestep alone), or too slow; `why` for the last three.

    `open` are the checks that could not tell, with the reason; `passed`, those that judged and found nothing.
    `plain`: the seconds of processor time of building it and of three steps by itself; `whole`: of the examination.
    """

    name: str
    outcome: str
    why: str = ""
    alarms: tuple[Alarm, ...] = ()
    open: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    parameters: int = 0
    plain: float = 0.0
    whole: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Row:
        """The row that `to_dict` gave."""
        alarms = tuple(Alarm(**each) for each in values.pop("alarms"))
        told = {key: tuple(values.get(key, ())) for key in ("open", "passed")}
        return cls(**{**values, **told, "alarms": alarms})


def examined(name: str) -> Row:
    """Build the model, run three steps without smokestep, then examine it."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    started = time.process_time()
    try:
        build = factory(name)
        by_itself(build)
    except Exception as error:  # the model's own trouble, or that of the small configuration
        return Row(name, "not built", why=told(error))
    plain = time.process_time() - started
    started = time.process_time()
    try:
        report = smokestep.examine(build)
    except Exception as error:
        return Row(name, "raised", why=told(error), plain=plain)
    return Row(
        name,
        "raised" if report.error else "examined",
        why=str(report.error or ""),
        alarms=tuple(alarm(each) for each in report.findings),
        open=tuple(f"{check}: {each.reason}" for check, each in report.checks.items() if each.verdict.value == "open"),
        passed=tuple(check for check, each in report.checks.items() if each.verdict.value == "pass"),
        parameters=sum(report.training.models.values()),
        plain=round(plain, 3),
        whole=round(time.process_time() - started, 3),
    )


def by_itself(build: Factory, steps: int = 3) -> None:
    """The training without smokestep: what does not run so is nothing to examine."""
    torch.manual_seed(0)
    training = build()
    for _ in range(steps):
        for step in training.steps.values():
            step(training.batch) if training.has_batch else step()


def alarm(finding: Finding) -> Alarm:
    """A finding, cut to what is written down."""
    return Alarm(
        finding.check,
        finding.severity.value if finding.severity else "",
        finding.message[:600],
        (finding.where.path or "")[:200],
        f"{finding.where.file or ''}:{finding.where.line or ''}".rpartition("site-packages/")[2],
        finding.cause.code.strip()[:160] if finding.cause else "",
    )


def told(error: BaseException) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
