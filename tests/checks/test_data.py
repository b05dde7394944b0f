"""The checks on data, on loaders written by hand."""

from __future__ import annotations

from smokestep.checks.data.repeated_augmentation import repeated_augmentation
from smokestep.evidence.loaders import Loader, Loaders, Owned
from smokestep.findings import Finding, Line, NotApplicable, Open

MADE, ASSIGNED = Line("train.py", 30, "loader = DataLoader(...)"), Line("data.py", 5, "self.rng = default_rng(0)")
RNG = Owned("rng", "Generator", True, ASSIGNED)


def said(*loaders: Loader) -> list[Finding | NotApplicable | Open]:
    return list(repeated_augmentation.judge(Loaders(loaders)))


def loader(*generators: Owned, persistent: bool = False, unknown: str = "", line: Line | None = MADE) -> Loader:
    return Loader("Noisy", 2, persistent, False, generators, line, unknown)


def test_a_generator_that_repeats_is_told_where_it_is_assigned() -> None:
    (found,) = said(loader(RNG))
    assert isinstance(found, Finding)
    assert (found.where.path, found.cause) == ("Noisy.rng", ASSIGNED)
    assert found.related == ((MADE, "the 2 workers"),)
    assert "each epoch" in found.message


def test_without_that_line_the_loader_is_shown() -> None:
    (found,) = said(loader(Owned("rng", "Generator", True)))
    assert isinstance(found, Finding)
    assert found.cause == MADE and not found.related


def test_persistent_workers_do_not_repeat_epochs() -> None:
    (found,) = said(loader(RNG, persistent=True))
    assert isinstance(found, Finding)
    assert "each epoch" not in found.message


def test_one_generator_of_two_loaders_is_told_once() -> None:
    assert len(said(loader(RNG), loader(RNG, line=Line("train.py", 31)))) == 1


def test_a_generator_that_does_not_repeat_is_silent() -> None:
    assert said(loader(Owned("rng", "Generator", False, ASSIGNED)), loader()) == []


def test_what_could_not_be_tried_is_open() -> None:
    (found,) = said(loader(unknown="it is not copied"))
    assert isinstance(found, Open)
    assert found.reason == "the data loader of Noisy: it is not copied"


def test_no_loader_with_workers_is_not_applicable() -> None:
    assert [type(each) for each in said()] == [NotApplicable]
