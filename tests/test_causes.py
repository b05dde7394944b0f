"""One cause is told once, with its consequences, always in the same order."""

from __future__ import annotations

import random

import pytest
from tests.fakes import made

from smokestep.causes import merged
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, Line, Place, Severity


def named(name, *, explains=(), severity="defect"):
    def judge(steps: Steps):
        yield from ()

    judge.__name__ = name
    return made(judge, explains=explains, severity=severity)


CHECKS = {
    check.name: check
    for check in (
        named("root", explains=("effect",)),
        named("effect", explains=("last",)),
        named("last"),
        named("one", explains=("two",)),
        named("two", explains=("one",)),
    )
}


def found(check, *subjects, line=None, severity=Severity.DEFECT, message="m"):
    where = Place(", ".join(subjects) or None)
    cause = Line("net.py", line) if line else None
    return Finding(message, where, cause, severity=severity, subjects=subjects, check=check)


def told(*findings):
    return [(each.check, each.consequences) for each in merged(findings, CHECKS)]


def test_a_check_that_explains_another_is_its_root():
    assert told(found("effect", "a"), found("root", "a", "b")) == [("root", ("effect (a): m",))]


def test_only_subjects_that_the_root_covers_are_its_consequences():
    assert len(told(found("effect", "a", "c"), found("root", "a", "b"))) == 2


@pytest.mark.parametrize("subjects", [((), ("a",)), (("a",), ()), ((), ())])
def test_without_subjects_a_finding_is_covered(subjects):
    assert len(told(found("root", *subjects[0]), found("effect", *subjects[1]))) == 1


def test_the_same_line_is_one_cause():
    assert told(found("last", "a", line=3), found("root", "b", line=3)) == [("last", ("root (b): m",))]


def test_on_the_same_line_the_explaining_check_is_the_root():
    assert told(found("effect", "a", line=3), found("root", "b", line=3))[0][0] == "effect"
    assert told(found("effect", "a", line=3), found("root", "a", line=3))[0][0] == "root"


def test_a_chain_is_told_under_its_first():
    (only,) = told(found("last", "a"), found("effect", "a"), found("root", "a"))
    assert only == ("root", ("effect (a): m", "last (a): m"))


def test_checks_that_explain_each_other_have_one_root():
    assert told(found("one", "a"), found("two", "a")) == [("one", ("two (a): m",))]


def test_a_defect_is_never_hidden_under_a_suspicion():
    suspicion = found("root", "a", line=3, severity=Severity.SUSPICION)
    assert [check for check, _ in told(suspicion, found("effect", "a", line=3))] == ["effect"]
    assert len(told(suspicion, found("effect", "a", line=4))) == 2


def test_defects_come_first_then_file_line_and_check():
    findings = [
        found("one", "a", line=9),
        found("last", "b", line=2),
        found("effect", "c", line=2, severity=Severity.SUSPICION),
        found("last", "d", line=1, severity=Severity.SUSPICION),
        found("last", "e"),
    ]
    expected = [each.subjects for each in merged(findings, CHECKS)]
    assert expected == [("e",), ("b",), ("a",), ("d",)]
    random.Random(0).shuffle(findings)
    assert [each.subjects for each in merged(findings, CHECKS)] == expected


def test_equal_consequences_are_told_once():
    assert told(found("root"), found("effect"), found("effect")) == [("root", ("effect: m",))]
