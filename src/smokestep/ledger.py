"""Ledger: every report made within a block, for whoever asked; without a block nothing is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smokestep.report import Report

_OPEN: ContextVar[list[Report] | None] = ContextVar("smokestep_ledger", default=None)


@contextmanager
def collected() -> Iterator[list[Report]]:
    """The reports of all examinations made within the block, in order; the innermost block gets them."""
    reports: list[Report] = []
    token = _OPEN.set(reports)
    try:
        yield reports
    finally:
        _OPEN.reset(token)


def enter(report: Report) -> Report:
    """Enter a finished report, and give it back."""
    if (reports := _OPEN.get()) is not None:
        reports.append(report)
    return report
