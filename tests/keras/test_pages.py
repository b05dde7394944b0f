"""The check pages' examples in Keras, executed: Bad gives exactly its check, with its line, and Good gives nothing.

Where the backend declares a gap for the check, Bad gives the verdict of the gap, and nothing else.
"""

from __future__ import annotations

import sys
import warnings

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from tests.keras.cases import EXAMPLES, PAGES, factory

import smokestep
from smokestep.backends.gaps import TENSORFLOW
from smokestep.checks import load as checks

CHECKS = {each.name: each for each in checks()}
APPLIES = tomllib.loads((PAGES / "applies.toml").read_text())


def examined(name: str, side: str) -> smokestep.Report:
    """The report on one example of a page; a check that runs on request is asked for."""
    asked = [name] if CHECKS[name].on_request else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some examples do what Keras warns of
        return smokestep.examine(factory(EXAMPLES[name] / f"{side}.py", "training"), select=["default", *asked])


@pytest.mark.parametrize("name", EXAMPLES)
def test_bad_gives_exactly_this_check(name: str) -> None:
    report = examined(name, "bad")
    if name in TENSORFLOW:
        assert report.checks[name].verdict.value == (
            "open" if type(TENSORFLOW[name]).__name__ == "Open" else "notApplicable"
        )
        assert not report.findings, str(report)
        return
    assert [each.check for each in report.findings] == [name], str(report)
    (finding,) = report.findings
    assert finding.severity is CHECKS[name].severity or name == "detached-loss", str(report)  # of a term: a suspicion
    assert finding.cause is not None and finding.cause.file.endswith(f"{name}/bad.py"), str(report)


@pytest.mark.parametrize("name", EXAMPLES)
def test_good_gives_nothing(name: str) -> None:
    report = examined(name, "good")
    assert not report.findings, str(report)
    assert not report.error, str(report)
    if name not in TENSORFLOW:
        assert report.checks[name].verdict.value in ("pass", "notApplicable"), str(report)


def test_every_check_applies_or_says_why_not() -> None:
    assert set(APPLIES) == set(CHECKS)
    assert {name for name, each in APPLIES.items() if each.get("applies")} == set(EXAMPLES)
    assert [name for name, each in APPLIES.items() if name not in EXAMPLES and len(each.get("why", "")) < 20] == []
