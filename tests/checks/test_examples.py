"""Every check's page, executed: its Bad example gives exactly this check, its Good example gives nothing at all."""

from __future__ import annotations

from importlib import import_module, util

import pytest

from smokestep.check import Check
from smokestep.checks import TABLE
from smokestep.report import Report
from smokestep.testing import examples, inside, run_example


def the_check(entry: str) -> Check:
    assert util.find_spec(f"smokestep.checks.{entry}"), f"the table lists {entry}, but no file holds it"
    check = getattr(import_module(f"smokestep.checks.{entry}"), entry.rpartition(".")[2], None)
    assert isinstance(check, Check), f"checks/{entry.replace('.', '/')}.py holds no check of its own name"
    return check


def selected(check: Check) -> tuple[str, ...]:
    """The checks that examine its examples: all that run by default, and itself."""
    return ("default", check.name) if check.on_request else ()


def told(report: Report) -> str:
    """What to read when an example fails: the report, with the checks that came to no judgement."""
    odd = {name: outcome for name, outcome in report.checks.items() if outcome.verdict.value in ("open", "fail")}
    return f"{report}\n\nverdicts: {odd}"


@pytest.mark.parametrize("entry", TABLE)
def test_bad_gives_exactly_this_check(entry: str) -> None:
    check = the_check(entry)
    name = f"{check.name.replace('-', '_')}_bad"
    report = run_example(examples(check)["Bad"], name, select=selected(check))
    assert [each.check for each in report.findings] == [check.name], told(report)
    (finding,) = report.findings
    assert finding.severity is check.severity, told(report)
    assert inside(finding.cause, name), f"cause {finding.cause} does not lie in the example\n{told(report)}"


@pytest.mark.parametrize("entry", TABLE)
def test_good_gives_nothing(entry: str) -> None:
    check = the_check(entry)
    name = f"{check.name.replace('-', '_')}_good"
    report = run_example(examples(check)["Good"], name, select=selected(check))
    assert not report.findings, told(report)
    assert not report.error, told(report)
    assert report.checks[check.name].verdict.value in ("pass", "notApplicable"), told(report)
