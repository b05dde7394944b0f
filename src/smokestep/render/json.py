"""The report as JSON, by its documented schema."""

from __future__ import annotations

from smokestep.report import Report


def render(report: Report) -> str:
    """The report as indented JSON text."""
    return report.to_json(indent=2)
