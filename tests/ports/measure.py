"""Examines the two sides of a port, and says whether the fault was told.

Told is what the buggy side gets and the fixed side does not: a check that fires on both has not seen the fault.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

import smokestep
from smokestep.config import Config
from smokestep.findings import Severity

from .cases import PORTS, load, marked

SELECTIONS = ("default", "all")


@dataclass(frozen=True, slots=True)
class Result:
    """What came out for one port under one selection of checks.

    `told`: the checks that fire on the buggy side alone; `defect`: one of them is sure. `line`: one of their findings
    names a marked line, as its cause or as its place. `alarms`: the checks that fire on the fixed side.
    """

    told: tuple[str, ...]
    defect: bool
    line: bool
    alarms: tuple[str, ...]
    error: str = ""

    @property
    def detected(self) -> bool:
        """Whether any check told the fault."""
        return bool(self.told)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Result:
        """The result that `asdict` and JSON made values of."""
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def examined(name: str, side: str, select: str) -> smokestep.Report:
    """The report on one side of a port."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns about some of these faults, and that is not the point
        return smokestep.examine(getattr(load(name), side), select=[select], config=Config())


def measured(name: str, select: str = "default") -> Result:
    """What smokestep says of one port."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        buggy, fixed = (examined(name, side, select) for side in ("buggy", "fixed"))
    finally:
        torch.set_num_threads(threads)
    alarms = sorted({each.check for each in fixed.findings})
    found = [each for each in buggy.findings if each.check not in alarms]
    lines, file = marked(name), PORTS[name].name
    named = [
        place
        for each in found
        for place in (each.cause, each.where)
        if place is not None and place.file is not None and Path(place.file).name == file and place.line in lines
    ]
    errors = [f"{side}: {report.error}" for side, report in (("buggy", buggy), ("fixed", fixed)) if report.error]
    return Result(
        told=tuple(sorted({each.check for each in found})),
        defect=any(each.severity is Severity.DEFECT for each in found),
        line=bool(named),
        alarms=tuple(alarms),
        error="; ".join(errors),
    )


def both(name: str) -> dict[str, Any]:
    """What smokestep says of one port under each selection, as JSON values."""
    return {select: asdict(measured(name, select)) for select in SELECTIONS}
