"""What a check says: findings, and the words for where and how sure.

Values only: nothing here looks at a framework, and every field is a Python scalar, string or tuple.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Severity(str, Enum):
    """How sure a finding is: `defect` is certain from what was measured, `suspicion` is a heuristic."""

    DEFECT = "defect"
    SUSPICION = "suspicion"


class Verdict(str, Enum):
    """What became of one check: "could not tell" (`open`) is never printed as a pass."""

    PASS = "pass"
    FAIL = "fail"
    NOT_APPLICABLE = "notApplicable"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Line:
    """One source line: the file, its 1-based number and its text, and whether it lies in an installed package."""

    file: str
    line: int
    code: str = ""
    installed: bool = False

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a finding is: the parameter, module or optimizer (`path`), and the source position that shows it."""

    path: str | None = None
    file: str | None = None
    line: int | None = None

    @classmethod
    def of(cls, path: str | None, line: Line | None = None) -> Place:
        """The place called `path`, shown at `line` when one is known."""
        return cls(path, line.file if line else None, line.line if line else None)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: what happened, where, which line caused it, and what to try.

    A check fills everything but `check`; it sets `severity` only to lower its own.
    `subjects` are the full names of the parameters, modules or optimizers concerned: allowances match on them,
    and findings that share a cause are told once, with the others as its `consequences`.
    """

    message: str
    where: Place = Place()
    cause: Line | None = None
    hint: str = ""
    severity: Severity | None = None
    subjects: tuple[str, ...] = ()
    related: tuple[tuple[Line, str], ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    consequences: tuple[str, ...] = ()
    check: str = ""


@dataclass(frozen=True, slots=True)
class Open:
    """Yielded by a check that could not tell, with the reason: the verdict becomes `open` unless it also fails."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """Yielded by a check whose subject does not occur in this training, with the reason."""

    reason: str
