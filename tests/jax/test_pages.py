"""The JAX side of every check's page, executed: Bad gives exactly this check, Good gives nothing at all.

`docs/frameworks/jax/applies.toml` says of every check whether its fault can be written in JAX, and why not.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest

pytest.importorskip("jax")

from tests.jax.programs import PAGES, load, told

import smokestep
from smokestep.backends.gaps import JAX as GAPS
from smokestep.checks import load as load_checks
from smokestep.findings import Open

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CHECKS = {each.name: each for each in load_checks()}
APPLIES = tomllib.loads((PAGES / "applies.toml").read_text(encoding="utf-8"))
SHOWN = [name for name, entry in APPLIES.items() if entry.get("applies")]
JUDGED = [name for name in SHOWN if name not in GAPS]


def report_on(name: str, side: str) -> smokestep.Report:
    """What is told of one side of a page."""
    check = CHECKS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        training = load(PAGES / name / f"{side}.py").training
        return smokestep.examine(training, select=["default", name] if check.on_request else ["default"])


@pytest.mark.parametrize("name", JUDGED)
def test_bad_gives_exactly_this_check(name: str) -> None:
    report = report_on(name, "bad")
    assert [each.check for each in report.findings] == [name], told(report)
    (finding,) = report.findings
    assert finding.cause is not None and Path(finding.cause.file) == PAGES / name / "bad.py", told(report)


@pytest.mark.parametrize("name", JUDGED)
def test_good_gives_nothing(name: str) -> None:
    report = report_on(name, "good")
    assert not report.findings, told(report)
    assert not report.error, told(report)
    assert report.checks[name].verdict.value in ("pass", "notApplicable"), report.checks[name]


@pytest.mark.parametrize("name", sorted(set(SHOWN) & set(GAPS)))
def test_a_gap_does_not_pass(name: str) -> None:
    assert report_on(name, "bad").checks[name].verdict.value == "open"


def test_gaps_agree_with_the_pages() -> None:
    assert {name for name, gap in GAPS.items() if isinstance(gap, Open)} - set(SHOWN) == set()
    assert {name for name, gap in GAPS.items() if not isinstance(gap, Open)} & set(SHOWN) == set()


def test_every_check_is_decided() -> None:
    assert set(CHECKS) - set(APPLIES) == set()
    assert [name for name, entry in APPLIES.items() if bool(entry.get("applies")) == bool(entry.get("why"))] == []


def test_pages_are_those_that_apply() -> None:
    assert sorted(path.parent.name for path in PAGES.glob("*/bad.py")) == sorted(SHOWN)
    assert sorted(path.parent.name for path in PAGES.glob("*/good.py")) == sorted(SHOWN)
