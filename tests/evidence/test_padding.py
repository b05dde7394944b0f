"""Which operation brings the amount of padding in, from hand-made operations."""

from __future__ import annotations

import pytest

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
