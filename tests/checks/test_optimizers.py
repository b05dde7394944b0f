"""The checks of optimizers, clipping and scalers on events written by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from smokestep.checks.loop.empty_clip import empty_clip
from smokestep.checks.loop.recreated_optimizer import recreated_optimizer
from smokestep.checks.loop.skipped_steps import skipped_steps
from smokestep.checks.loop.swapped_betas import swapped_betas
from smokestep.checks.numerics.half_epsilon import half_epsilon
from smokestep.evidence.steps import Event, Group, Movement, Optimizer, Parameter, Steps
from smokestep.findings import Finding, Line, NotApplicable, Severity

HERE, THERE = Line("train.py", 9, "optimizer = Adam(…)"), Line("train.py", 12, "optimizer.step()")


def update(index: int, subject: str, **detail: Any) -> Event:
    return Event(index, index // 10, "update", THERE, subject, ("w",), {"state": False, "kept": True, **detail})


def adam(name: str, born: int | None = 0, **more: Any) -> Optimizer:
    group = Group(("w",), (0.1,), momentum=True, betas=(0.9, 0.999), epsilon=1e-8)
    return Optimizer(name, "Adam", (replace(group, **more),), HERE, updates=1, born=born)


def steps(*events: Event, optimizers: tuple[Optimizer, ...] = (), **more: Any) -> Steps:
    made = tuple(sorted(events, key=lambda event: event.index))
    return Steps(3, made, (), (), optimizers, (None,) * 3, **more)


def anew(**detail: Any) -> Steps:
    """Three optimizers, each made, stepped once and followed by the next."""
    names = ("a", "b", "c")
    made = [adam(name, born=10 * at + 1) for at, name in enumerate(names)]
    return steps(*(update(10 * at + 5, name, **detail) for at, name in enumerate(names)), optimizers=tuple(made))


def found(check: Any, evidence: Steps) -> list[Finding]:
    return [each for each in check.judge(evidence) if isinstance(each, Finding)]


def test_recreated_optimizer_names_the_line_that_makes_it() -> None:
    (finding,) = found(recreated_optimizer, anew())
    assert finding.cause == HERE
    assert "3 updates" in finding.message


@pytest.mark.parametrize(
    "healthy",
    [
        anew(state=True),  # takes over what the last one knew
        anew(kept=False),  # SGD: nothing to know
        replace(anew(), optimizers=anew().optimizers[:2]),  # two phases
        replace(anew(), optimizers=tuple(replace(each, born=0) for each in anew().optimizers)),  # made before the loop
        replace(anew(), optimizers=tuple(replace(each, born=None) for each in anew().optimizers)),  # unknown
        replace(
            anew(), optimizers=tuple(adam(n, born=b, parameters=(n,)) for n, b in (("a", 1), ("b", 11), ("c", 21)))
        ),
        replace(anew(), events=(*anew().events, update(26, "c"))),  # makes a second update
        replace(anew(), events=(*anew().events, Event(17, 1, "manual", THERE, "", ("w",)))),  # put back
    ],
    ids=["state", "plain", "phases", "before", "unknown", "others", "used", "restored"],
)
def test_recreated_optimizer_leaves_alone(healthy: Steps) -> None:
    assert found(recreated_optimizer, healthy) == []


def test_empty_clip_counts_the_calls_of_its_line() -> None:
    clips = [Event(index, 0, "clip", HERE, detail={"limit": 1.0}) for index in range(3)]
    assert found(empty_clip, steps(*clips)) == []
    spent = [replace(each, detail={"limit": 1.0, "exhausted": "self.params"}) for each in clips[1:]]
    (finding,) = found(empty_clip, steps(clips[0], *spent))
    assert "`self.params`" in finding.message
    assert "2 of 3 calls" in finding.message
    assert [type(each) for each in empty_clip.judge(steps())] == [NotApplicable]


@pytest.mark.parametrize(
    ("scales", "skipped", "severity"),
    [
        ([2.0 ** (16 - k) for k in range(17)], 17, Severity.DEFECT),
        ([2.0 ** (16 - k) for k in range(9)], 9, Severity.SUSPICION),
        ([2.0 ** (16 - k) for k in range(7)], 7, None),
        ([2.0 ** (16 - k) for k in range(17)], 16, None),
    ],
    ids=["down to one", "many", "a few at the beginning", "the last was made"],
)
def test_skipped_steps(scales: list[float], skipped: int, severity: Severity | None) -> None:
    events = [update(at, "a", skipped=at < skipped, scale=scale) for at, scale in enumerate(scales)]
    findings = found(skipped_steps, steps(*events, optimizers=(adam("a"),)))
    assert [each.severity or Severity.DEFECT for each in findings] == ([severity] if severity else [])


def half(epsilon: float | None, moved: float, dtype: str = "float16") -> Steps:
    parameter = Parameter("w", (2,), dtype, 2, True)
    move = Movement(0, "w", 0.1, 0.1, moved, 1.0)
    base = steps(update(1, "a"), optimizers=(adam("a", epsilon=epsilon),))
    return replace(base, parameters=(parameter,), movements=(move,))


def test_half_epsilon_is_certain_once_an_update_was_not_finite() -> None:
    assert [each.severity for each in found(half_epsilon, half(1e-8, 0.1))] == [Severity.SUSPICION]
    assert [each.severity for each in found(half_epsilon, half(1e-8, float("nan")))] == [None]
    assert found(half_epsilon, half(1e-7, 0.1)) == []  # rounded to 1.2e-7
    assert found(half_epsilon, half(None, 0.1)) == []  # fused, or not known
    assert [type(each) for each in half_epsilon.judge(half(1e-8, 0.1, "bfloat16"))] == [NotApplicable]


@pytest.mark.parametrize(
    ("betas", "wrong"),
    [
        ((0.999, 0.9), True),
        ((0.99, 0.9), True),
        ((0.9, 0.999), False),
        ((0.9, 0.9), False),
        ((0.95, 0.95), False),
        ((0.5, 0.9), False),
        ((0.0, 0.0), False),
        ((0.9, 0.99, 0.999), False),
    ],
)
def test_swapped_betas(betas: tuple[float, ...], wrong: bool) -> None:
    assert bool(found(swapped_betas, steps(optimizers=(adam("a", betas=betas),)))) is wrong
