"""Runs the JAX corpus: every buggy training gives exactly the findings marked in its file, every fixed one none.

The form of a case, and of its marks, is that of `tests/corpus/test_corpus.py`.
"""

from __future__ import annotations

import functools
import warnings
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

pytest.importorskip("jax")

from tests.jax.programs import CORPUS, expected, load, told

import smokestep
from smokestep.backends.gaps import JAX as GAPS
from smokestep.checks import load as load_checks

ON_REQUEST = {each.name for each in load_checks() if each.on_request}
FORMS = ("optax", "nnx", "equinox")
JUDGED = [name for name, path in CORPUS.items() if not {check for check, _ in expected(path)} & set(GAPS)]
ARTICLE = Path(__file__).parents[1] / "corpus" / "article"


@functools.cache
def examined(case: str, factory: str) -> smokestep.Report:
    """The report on one side of a case, made once; what runs on request is asked for where it is marked."""
    asked = {check for check, _ in expected(CORPUS[case])} & ON_REQUEST
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # libraries warn of some of these faults, and that is not the point
        return smokestep.examine(getattr(load(CORPUS[case]), factory), select=["default", *sorted(asked)])


@pytest.mark.parametrize("case", JUDGED, scope="module")
def test_buggy_names_the_check_and_the_line(case: str) -> None:
    report = examined(case, "buggy")
    found = sorted((each.check, each.cause.line if each.cause else 0) for each in report.findings)
    assert found == sorted(expected(CORPUS[case])), told(report)


@pytest.mark.parametrize("case", JUDGED, scope="module")
def test_buggy_is_as_sure_as_marked(case: str) -> None:
    report = examined(case, "buggy")
    found = {each.check: str(each.severity and each.severity.value) for each in report.findings}
    marks = expected(CORPUS[case]).values()
    assert found == {mark["check"]: "suspicion" if mark["unsure"] else "defect" for mark in marks}, told(report)


@pytest.mark.parametrize("case", [n for n in JUDGED if any(m["subjects"] for m in expected(CORPUS[n]).values())])
def test_buggy_names_the_parameters(case: str) -> None:
    report = examined(case, "buggy")
    found = {(e.check, e.cause.line if e.cause else 0): (e.where.path or "").split(", ") for e in report.findings}
    for key, mark in expected(CORPUS[case]).items():
        patterns = (mark["subjects"] or "*").strip().split(", ")
        names = found.get(key, [])
        assert [name for name in names if not any(fnmatchcase(name, each) for each in patterns)] == [], told(report)
        assert [each for each in patterns if not any(fnmatchcase(name, each) for name in names)] == [], told(report)


@pytest.mark.parametrize("case", JUDGED, scope="module")
def test_buggy_names_its_own_file(case: str) -> None:
    report = examined(case, "buggy")
    assert {Path(each.cause.file).name for each in report.findings if each.cause} == {CORPUS[case].name}, told(report)


@pytest.mark.parametrize("case", [name for name in CORPUS if name not in JUDGED], scope="module")
def test_a_gap_does_not_pass(case: str) -> None:
    checks = {check for check, _ in expected(CORPUS[case])} & set(GAPS)
    assert {examined(case, "buggy").checks[check].verdict.value for check in checks} == {"open"}


@pytest.mark.parametrize("case", CORPUS, scope="module")
def test_fixed_is_silent(case: str) -> None:
    report = examined(case, "fixed")
    assert report.error is None
    assert report.steps, f"nothing was seen of it: {report}"
    assert told(report) == []


@pytest.mark.parametrize("name", [each.stem for each in sorted(ARTICLE.glob("*.py")) if "test_" not in each.name])
def test_the_articles_faults_are_there_in_every_form(name: str) -> None:
    assert [form for form in FORMS if f"article/{name}__{form}" not in CORPUS] == []
