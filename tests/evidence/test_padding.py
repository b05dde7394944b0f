"""Which operation brings the amount of padding in, from hand-made operations."""

from __future__ import annotations

import pytest

from smokestep.evidence.padded import LENGTHS, _bare
from smokestep.evidence.padding import cut_of
from smokestep.evidence.trials import Spread, Touch

ALIKE, APART = Spread((), (), False), Spread((), (), True)


def touch(name: str, reads: Spread = ALIKE, makes: Spread = APART) -> Touch:
    return Touch(name, (reads,), (makes,))


def test_the_last_operation_that_makes_unlike_of_alike_is_told() -> None:
    cut = cut_of([touch("cumsum"), touch("mean"), touch("linear", reads=APART)])
    assert cut is not None and cut.op == "mean"


@pytest.mark.parametrize("question", ["all", "any", "equal"])
def test_a_question_about_the_mask_brings_no_number_in(question: str) -> None:
    cut = cut_of([touch("mean"), touch(question)])
    assert cut is not None and cut.op == "mean"
    assert cut_of([touch(question)]) is None


@pytest.mark.parametrize("name", ["lengths", "batch.seq_lens", "batch['lengths']", "batch[1]"])
def test_lengths_are_known_by_name_or_have_none(name: str) -> None:
    assert LENGTHS.search(_bare(name))


@pytest.mark.parametrize("name", ["lengthscale", "batch['label']", "batch.y"])
def test_other_names_are_no_lengths(name: str) -> None:
    assert not LENGTHS.search(_bare(name))


def test_a_mask_is_known_by_its_name_in_a_mapping() -> None:
    assert _bare("batch['attention_mask']") == _bare("batch.attention_mask") == "attention_mask"
