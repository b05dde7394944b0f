"""A report survives JSON unchanged, and its JSON follows the documented schema."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smokestep.findings import Finding, Line, Place, Severity, Verdict
from smokestep.report import Outcome, Raised, Report, Subject, plain

SCHEMA = json.loads((Path(__file__).parents[1] / "docs" / "report-schema.json").read_text("utf-8"))

text = st.text(max_size=8)
file = text.filter(lambda name: "\0" not in name)
number = st.floats(allow_nan=False, allow_infinity=False)
count = st.integers(0, 10**6)
line = st.builds(Line, file, count, text, st.booleans())
scalar = st.none() | st.booleans() | st.integers() | number | text
data = st.dictionaries(text, st.recursive(scalar, lambda inner: st.lists(inner, max_size=3), max_leaves=4), max_size=3)
finding = st.builds(
    Finding,
    message=text,
    where=st.builds(Place, st.none() | text, st.none() | file, st.none() | count),
    cause=st.none() | line,
    hint=text,
    severity=st.sampled_from(Severity),
    subjects=st.lists(text, max_size=2).map(tuple),
    related=st.lists(st.tuples(line, text), max_size=2).map(tuple),
    data=data,
    consequences=st.lists(text, max_size=2).map(tuple),
    check=text,
)
versions = st.just({"smokestep": "0.1.0", "python": "3.11", "platform": "Linux"})
report = st.builds(
    Report,
    verdict=st.sampled_from([Verdict.PASS, Verdict.FAIL, Verdict.OPEN]),
    findings=st.lists(finding, max_size=2).map(tuple),
    checks=st.dictionaries(text, st.builds(Outcome, st.sampled_from(Verdict), text), max_size=3),
    training=st.builds(
        Subject, text, st.none() | file, st.none() | count, st.dictionaries(text, count), st.dictionaries(text, text)
    ),
    seed=st.none() | st.integers(),
    steps=count,
    strict=st.booleans(),
    cost=st.dictionaries(text, number, max_size=3),
    versions=versions,
    allowed=st.lists(st.tuples(finding, text), max_size=1).map(tuple),
    left_out=st.lists(text, max_size=2).map(tuple),
    notes=st.lists(text, max_size=2).map(tuple),
    error=st.none() | st.builds(Raised, text, count, st.none() | line),
    on_request=st.lists(text, max_size=2).map(tuple),
    experiments=st.dictionaries(text, number, max_size=2),
    inferred=st.lists(text, max_size=2).map(tuple),
)


@settings(deadline=None, max_examples=60)
@given(report)
def test_a_report_survives_json(made):
    assert Report.from_json(made.to_json()) == made


@settings(deadline=None, max_examples=60)
@given(report)
def test_its_json_follows_the_schema(made):
    jsonschema.validate(json.loads(made.to_json()), SCHEMA)


@settings(deadline=None, max_examples=30)
@given(report)
def test_it_can_always_be_shown_as_text(made):
    assert isinstance(str(made), str)


def test_the_schema_is_itself_valid():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_describes_every_key():
    assert set(Report(Verdict.PASS).to_dict()) == set(SCHEMA["properties"])


@pytest.mark.parametrize("values", [{}, {"schema": 99}, {"schema": 1}, {"schema": 1, "verdict": "pass", "findings": 3}])
def test_what_is_no_report_is_refused(values):
    with pytest.raises(ValueError, match="report"):
        Report.from_dict(values)


def test_numbers_that_json_lacks_become_words():
    assert plain({1: float("nan"), "b": (float("inf"), {"y", "x"})}) == {"1": "nan", "b": ["inf", ["x", "y"]]}


def test_findings_are_told_apart_by_severity():
    defect, suspicion = Finding("a", severity=Severity.DEFECT), Finding("b", severity=Severity.SUSPICION)
    made = Report(Verdict.FAIL, (defect, suspicion))
    assert (made.defects, made.suspicions) == ((defect,), (suspicion,))


def test_the_error_says_where_and_after_how_many_steps():
    error = Raised("ValueError: no", 2, Line("a.py", 3))
    assert str(error) == "the step raised ValueError: no at a.py:3, after 2 complete steps"
    assert str(replace(error, completed=1, line=None)) == "the step raised ValueError: no, after 1 complete step"
