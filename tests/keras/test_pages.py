"""The check pages' examples in Keras, executed: Bad gives exactly its check, with its line, and Good gives nothing.

Where the backend declares a gap for the check, its verdict on Bad is that of the gap, and never a pass.
"""

from __future__ import annotations

import functools
import sys
import warnings

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from tests.keras.cases import EXAMPLES, PAGES, factory

import smokestep
from smokestep.backends.gaps import TENSORFLOW as GAPS
from smokestep.checks import load as checks
from smokestep.evidence import learning
from smokestep.findings import Open

CHECKS = {each.name: each for each in checks()}
APPLIES = tomllib.loads((PAGES / "applies.toml").read_text(encoding="utf-8"))
JUDGED = [name for name in EXAMPLES if name not in GAPS]
# defects as a rule; suspicions of one term, of gradients that a list may keep, and of a mode chosen in each call
UNSURE = {"detached-loss", "no-step", "trained-in-eval"}


@functools.cache
def examined(name: str, side: str) -> smokestep.Report:
    """The report on one example of a page; a check that runs on request is asked for. Time is never asserted."""
    asked = [name] if CHECKS[name].on_request else []
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")  # some examples do what Keras warns of
        patch.setattr(learning, "SECONDS", 600.0)
        return smokestep.examine(factory(EXAMPLES[name] / f"{side}.py", "training"), select=["default", *asked])


@pytest.mark.parametrize("name", JUDGED)
def test_bad_gives_exactly_this_check(name: str) -> None:
    report = examined(name, "bad")
    assert [each.check for each in report.findings] == [name], str(report)
    (finding,) = report.findings
    assert finding.severity is CHECKS[name].severity or name in UNSURE, str(report)
    assert finding.cause is not None and finding.cause.file.endswith(f"{name}/bad.py"), str(report)


@pytest.mark.parametrize("name", JUDGED)
def test_good_gives_nothing(name: str) -> None:
    report = examined(name, "good")
    assert not report.findings, str(report)
    assert not report.error, str(report)
    assert report.checks[name].verdict.value in ("pass", "notApplicable"), str(report)


@pytest.mark.parametrize("name", sorted(set(EXAMPLES) & set(GAPS)))
def test_a_gap_does_not_pass(name: str) -> None:
    report = examined(name, "bad")
    assert report.checks[name].verdict.value == "open", str(report)
    assert not report.defects or name == "skipped-steps", str(report)  # what it leaves out is not finite


def test_gaps_agree_with_the_pages() -> None:
    assert {name for name, gap in GAPS.items() if isinstance(gap, Open)} - set(EXAMPLES) == set()
    assert {name for name, gap in GAPS.items() if not isinstance(gap, Open)} & set(EXAMPLES) == set()


def test_every_check_has_a_page_or_a_reason() -> None:
    assert set(APPLIES) == set(CHECKS)
    assert {name for name, each in APPLIES.items() if each.get("applies")} == set(EXAMPLES)
    assert [name for name, each in APPLIES.items() if name not in EXAMPLES and len(each.get("why", "")) < 20] == []
    assert [name for name in EXAMPLES if not (EXAMPLES[name] / "good.py").exists()] == []
