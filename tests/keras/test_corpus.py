"""Runs the Keras corpus: every buggy training gives exactly the findings marked in its file, every fixed one none.

The marks are those of tests/corpus: `# BUG: check-name` on the line of the cause, `# BUG?:` for a suspicion.
"""

from __future__ import annotations

import functools
import warnings
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from tests.corpus.cases import expected
from tests.keras.cases import CORPUS, factory

import smokestep
from smokestep.backends.gaps import TENSORFLOW
from smokestep.checks import load as checks

SEEN = [name for name, path in CORPUS.items() if not any(check in TENSORFLOW for check, _ in expected(path))]
ON_REQUEST = {each.name for each in checks() if each.on_request}


@functools.cache
def examined(case: str, side: str) -> smokestep.Report:
    """The report on one side of a case, made once."""
    asked = {check for check, _ in expected(CORPUS[case])} & ON_REQUEST
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns about some of these faults, and that is not the point
        return smokestep.examine(factory(CORPUS[case], side), select=["default", *sorted(asked)])


def told(report: smokestep.Report) -> list[str]:
    """The findings in one line each, for a readable failure."""
    said = [f"{each.severity} {each.check} {each.where.path} caused at {each.cause}" for each in report.findings]
    return said if report.error is None else [*said, report.error]


@pytest.mark.parametrize("case", SEEN, scope="module")
def test_buggy_names_the_check_and_the_line(case: str) -> None:
    report = examined(case, "buggy")
    found = sorted((each.check, each.cause.line if each.cause else 0) for each in report.findings)
    assert found == sorted(expected(CORPUS[case])), told(report)
    assert {Path(each.cause.file).name for each in report.findings if each.cause} == {CORPUS[case].name}, told(report)


@pytest.mark.parametrize("case", SEEN, scope="module")
def test_buggy_is_as_sure_as_marked(case: str) -> None:
    report = examined(case, "buggy")
    found = {each.check: str(each.severity and each.severity.value) for each in report.findings}
    marks = expected(CORPUS[case]).values()
    assert found == {mark["check"]: "suspicion" if mark["unsure"] else "defect" for mark in marks}, told(report)


@pytest.mark.parametrize(
    "case",
    [name for name in SEEN if any(m["subjects"] for m in expected(CORPUS[name]).values())],
    scope="module",
)
def test_buggy_names_the_parameters(case: str) -> None:
    report = examined(case, "buggy")
    found = {
        (each.check, each.cause.line if each.cause else 0): (each.where.path or "").split(", ")
        for each in report.findings
    }
    for key, mark in expected(CORPUS[case]).items():
        patterns = (mark["subjects"] or "*").strip().split(", ")
        names = found.get(key, [])
        assert [name for name in names if not any(fnmatchcase(name, each) for each in patterns)] == [], told(report)
        assert [each for each in patterns if not any(fnmatchcase(name, each) for name in names)] == [], told(report)


@pytest.mark.parametrize("case", CORPUS, scope="module")
def test_fixed_is_silent(case: str) -> None:
    assert told(examined(case, "fixed")) == []
