"""Examines a generated program: it is compiled as a file of its own, so that lines can be named."""

from __future__ import annotations

import hashlib
import linecache
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType

import smokestep
from smokestep.findings import Finding, Severity
from smokestep.report import Report

from .faults import FAULTS
from .programs import Program


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a program: the report, and the findings of the check that should tell its fault."""

    program: Program
    report: Report

    @property
    def told(self) -> tuple[Finding, ...]:
        """The findings of the right check."""
        wanted = FAULTS[self.program.fault].check if self.program.fault else ""
        return tuple(each for each in self.report.findings if each.check == wanted)

    @property
    def detected(self) -> bool:
        """The right check tells the fault; as a defect, if that is what it promises."""
        unsure = Severity(FAULTS[self.program.fault].severity) is Severity.SUSPICION
        return any(unsure or each.severity is Severity.DEFECT for each in self.told)

    @property
    def named(self) -> bool:
        """The line that the right check names as the cause carries the fault."""
        return any(each.cause is not None and each.cause.line in self.program.marked for each in self.told)

    @property
    def subjects(self) -> tuple[str, ...]:
        """The names that the right check gives."""
        return tuple(name for each in self.told for name in each.subjects)

    @property
    def other_defects(self) -> tuple[str, ...]:
        """The checks that raise a defect beside the right one."""
        return tuple(sorted({each.check for each in self.report.defects} - {each.check for each in self.told}))

    def __str__(self) -> str:
        return f"{self.report}\n{self.program.numbered}"


@contextmanager
def loaded(program: Program) -> Iterator[ModuleType]:
    """The program as a module, whose source lines can be found as long as the block runs; its warnings are ignored."""
    name = os.path.abspath(f"generated_{hashlib.sha256(program.source.encode()).hexdigest()[:12]}.py")
    linecache.cache[name] = (len(program.source), None, program.source.splitlines(keepends=True), name)
    module = ModuleType(name)
    module.__file__ = name
    sys.modules[name] = module
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(program.source, name, "exec"), vars(module))
            yield module
    finally:
        del sys.modules[name], linecache.cache[name]


def examined(program: Program, steps: int = 3) -> Outcome:
    """The outcome of examining a program."""
    with loaded(program) as module:
        return Outcome(program, smokestep.examine(module.training, steps=steps))
