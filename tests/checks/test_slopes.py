"""The checks of gradients and of compiled steps, on hand-written evidence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smokestep.checks.numerics.compiled_mismatch import compiled_mismatch
from smokestep.checks.numerics.wrong_gradient import wrong_gradient
from smokestep.evidence.slopes import Input, Slope, Sloped, Slopes
from smokestep.evidence.ways import Apart, Way, Ways
from smokestep.findings import Finding, Line, NotApplicable, Severity

HERE, BACK = Line("train.py", 9, "y = F.apply(x)"), Line("ops.py", 5, "def backward(ctx, grad):")
MEASURED = (1.0, -2.0, 0.5, 3.0, -0.1)


def tried(*given: float, measured: tuple[float, ...] = MEASURED, **known: object) -> Sloped:
    slopes = tuple(Slope(m, g) for m, g in zip(measured, given, strict=True))
    return Sloped("Exp", HERE, BACK, (Input("x", slopes, len(slopes), 20, **known),))  # type: ignore[arg-type]


def times(factor: float, **known: object) -> Sloped:
    return tried(*(factor * each for each in MEASURED), **known)


def said_of(*each: Sloped) -> list[object]:
    return list(wrong_gradient.judge(Slopes(each)))


def test_the_right_gradient_is_silent():
    assert not said_of(times(1.0))
    assert not said_of(times(1.0000001))


@pytest.mark.parametrize("factor", [-1.0, 0.5, 2.0])
def test_a_wrong_factor_is_a_defect(factor: float):
    (said,) = said_of(times(factor))
    assert isinstance(said, Finding) and said.severity is None and said.cause == BACK
    assert f"it is {factor:.3g} times" in said.message and "3" in said.message


@pytest.mark.parametrize(
    "each",
    [
        times(2.0, linear=True),
        times(2.0, passing=True),
        replace(times(2.0), whole=True),
        replace(times(2.0), backward=replace(BACK, installed=True)),
        tried(1.0, -2.0, 0.5, 3.0, -0.2),
        times(0.0),
        tried(2.0, -4.0, measured=(1.0, -2.0)),
    ],
)
def test_what_is_less_sure_is_a_suspicion(each: Sloped):
    (said,) = said_of(each)
    assert isinstance(said, Finding) and said.severity is Severity.SUSPICION


@pytest.mark.parametrize(
    "each",
    [
        times(2.0, same=True),
        tried(1.0, -2.0, measured=(0.0, 0.0)),
        replace(times(2.0), idle="feedback"),
        replace(times(2.0), why="it draws random numbers"),
        Sloped("Exp", inputs=(Input("x", (Slope(1.0, 2.0),), 11, 20),)),
    ],
)
def test_an_estimate_on_purpose_and_what_does_not_settle_are_not_judged(each: Sloped):
    (said,) = said_of(each)
    assert isinstance(said, NotApplicable)


def test_one_that_was_judged_is_enough():
    assert not said_of(times(1.0), replace(times(2.0), why="it draws random numbers"))
    assert [type(each) for each in said_of()] == [NotApplicable]


def judged(*ways: Way, why: str = "") -> list[object]:
    return list(compiled_mismatch.judge(Ways(ways, why)))


def test_a_compiled_step_that_differs_is_told():
    apart = (Apart("loss", "", 1e-6, 1e-3), Apart("gradient", "net.weight", 0.4, 1e-3))
    (said,) = judged(Way("compiled", HERE, losses=(1.0, 2.0), apart=apart))
    assert isinstance(said, Finding) and said.cause == HERE and said.subjects == ("net.weight",)
    assert "the gradient of net.weight differs by 40.0%" in said.message and "loss 1 instead of 2" in said.message


def test_a_fused_optimizer_that_differs_is_told_by_its_name():
    (said,) = judged(Way("fused", HERE, "optimizer (Adam)", apart=(Apart("update", "w", 0.4, 1e-3),)))
    assert isinstance(said, Finding) and "optimizer (Adam) with fused=True" in said.message


def test_rounding_is_no_difference():
    assert not judged(Way("compiled", HERE, apart=(Apart("gradient", "w", 1e-4, 1e-3),)))


def test_what_cannot_be_compared_is_not_judged():
    for said in (judged(), judged(why="no training"), judged(Way("compiled", why="it draws")), judged(Way("fused"))):
        assert [type(each) for each in said] == [NotApplicable]
