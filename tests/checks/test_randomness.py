"""The check on repeated random numbers, on draws written by hand."""

from __future__ import annotations

from smokestep.checks.loop.repeated_randomness import repeated_randomness
from smokestep.evidence.randomness import Randomness, Turn
from smokestep.findings import Finding, Line, NotApplicable

SEEDED = Line("train.py", 12, "seed_everything(0)")
SAME = ((1, 2),)


def said(*turns: Turn) -> list[Finding | NotApplicable]:
    return list(repeated_randomness.judge(Randomness(turns)))


def turns(
    generator: str, *draws: tuple[tuple[int, int], ...], line: Line | None = SEEDED, name: str = ""
) -> list[Turn]:
    return [Turn(step, generator, each, line, name) for step, each in enumerate(draws, start=1)]


def test_the_same_draws_in_every_step_are_told_with_the_line_that_seeds() -> None:
    (found,) = said(*turns("torch", SAME, SAME))
    assert isinstance(found, Finding)
    assert found.cause == SEEDED and found.subjects == ("torch",)


def test_generators_seeded_by_one_line_are_told_once() -> None:
    (found,) = said(*turns("torch", SAME, SAME), *turns("NumPy", SAME, SAME), *turns("Python", (), ()))
    assert isinstance(found, Finding)
    assert found.subjects == ("torch", "NumPy")
    assert "torch's generator and NumPy's generator are put" in found.message


def test_generators_seeded_by_two_lines_are_told_apart() -> None:
    other = Line("data.py", 3, "np.random.seed(0)")
    found = said(*turns("torch", SAME, SAME), *turns("NumPy", SAME, SAME, line=other))
    assert [each.cause for each in found if isinstance(each, Finding)] == [SEEDED, other]


def test_one_step_that_draws_other_numbers_is_enough_to_be_silent() -> None:
    assert said(*turns("torch", SAME, SAME, ((1, 3),))) == []
    assert said(*turns("torch", SAME, ())) == []


def test_nothing_drawn_is_silent() -> None:
    assert said(*turns("torch", (), (), ())) == []


def test_kinds_of_step_are_not_mixed() -> None:
    found = said(*turns("torch", SAME, SAME, name="generator"), *turns("torch", SAME, ((2, 3),), name="discriminator"))
    assert [each.message.split(" draws")[0] for each in found if isinstance(each, Finding)] == [
        "every step `generator`"
    ]


def test_a_single_turn_cannot_be_compared() -> None:
    assert [type(each) for each in said(*turns("torch", SAME))] == [NotApplicable]
    assert [type(each) for each in said()] == [NotApplicable]
