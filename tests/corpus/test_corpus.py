"""Runs the corpus: every buggy training gives exactly the findings marked in its file, every fixed one none.

A case is a file with two functions, `buggy()` and `fixed()`, each of which builds a `Training`. On the line that must be
named as cause stands `# BUG: check-name` for a defect or `# BUG?: check-name` for a suspicion, followed, where it is part
of the promise, by the full names of the parameters or modules concerned, or patterns of them (`critic.*`).

The cases are parameters of the module, so that the tests of one stand together, and one process examines it once.
"""

from __future__ import annotations

import functools
import warnings
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import torch
from tests.corpus.cases import CASES, expected
from tests.corpus.cases import load as load_case

import smokestep
from smokestep.checks import TABLE, load

OTHERS = sorted((Path(__file__).parents[1] / "jax" / "corpus").glob("*/*.py"))  # of checks that torch has no case for
ON_REQUEST = {each.name for each in load() if each.on_request}


@functools.cache
def examined(case: str, factory: str) -> smokestep.Report:
    """The report on one side of a case, made once; what runs on request is asked for where it is marked."""
    module = load_case(case)
    asked = {check for check, _ in expected(CASES[case])} & ON_REQUEST
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about some of these faults, and that is not the point
            return smokestep.examine(getattr(module, factory), select=["default", *sorted(asked)])
    finally:
        torch.set_num_threads(threads)


def told(report: smokestep.Report) -> list[str]:
    """The findings in one line each, for a readable failure."""
    return [f"{each.severity} {each.check} {each.where.path} caused at {each.cause}" for each in report.findings]


def named(finding: smokestep.Finding) -> list[str]:
    """The parameters or modules that a finding shows."""
    return (finding.where.path or "").split(", ")


@pytest.mark.parametrize("case", CASES, scope="module")
def test_buggy_names_the_check_and_the_line(case: str) -> None:
    report = examined(case, "buggy")
    found = sorted((each.check, each.cause.line if each.cause else 0) for each in report.findings)
    assert found == sorted(expected(CASES[case])), told(report)


@pytest.mark.parametrize("case", CASES, scope="module")
def test_buggy_is_as_sure_as_marked(case: str) -> None:
    report = examined(case, "buggy")
    found = {each.check: str(each.severity and each.severity.value) for each in report.findings}
    marks = expected(CASES[case]).values()
    assert found == {mark["check"]: "suspicion" if mark["unsure"] else "defect" for mark in marks}, told(report)


@pytest.mark.parametrize(
    "case",
    [name for name, path in CASES.items() if any(m["subjects"] for m in expected(path).values())],
    scope="module",
)
def test_buggy_names_the_parameters(case: str) -> None:
    report = examined(case, "buggy")
    found = {(each.check, each.cause.line if each.cause else 0): named(each) for each in report.findings}
    for key, mark in expected(CASES[case]).items():
        patterns = (mark["subjects"] or "*").strip().split(", ")
        names = found.get(key, [])
        assert [name for name in names if not any(fnmatchcase(name, each) for each in patterns)] == [], told(report)
        assert [each for each in patterns if not any(fnmatchcase(name, each) for name in names)] == [], told(report)


@pytest.mark.parametrize("case", CASES, scope="module")
def test_buggy_names_its_own_file(case: str) -> None:
    report = examined(case, "buggy")
    assert {Path(each.cause.file).name for each in report.findings if each.cause} == {CASES[case].name}, told(report)


@pytest.mark.parametrize("case", CASES, scope="module")
def test_fixed_is_silent(case: str) -> None:
    assert told(examined(case, "fixed")) == []


@pytest.mark.parametrize("entry", TABLE)
def test_every_check_has_two_pairs(entry: str) -> None:
    name = entry.rpartition(".")[2].replace("_", "-")
    cases = [*CASES.values(), *OTHERS]
    assert len([path for path in cases if any(check == name for check, _ in expected(path))]) >= 2
