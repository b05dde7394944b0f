"""What each global generator is drawn from, and the line that sets it, in steps and in running loops."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from tests.backends.recorded import record
from torch import nn

import smokestep
from smokestep.backends.torch import live
from smokestep.evidence.randomness import Turn
from smokestep.privacy import guard

MARKED = "# here"


@pytest.fixture(autouse=True)
def _guarded() -> Iterator[None]:
    with guard():
        yield


def step_with(before: Callable[[], Any] = int, between: Callable[[], Any] = int) -> Callable[[], None]:
    """A step that does something before its forward pass, and something before its backward pass."""
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step() -> None:
        before()
        optimizer.zero_grad()
        loss = model(torch.ones(3, 2)).pow(2).mean()
        between()
        loss.backward()
        optimizer.step()

    return step


def turns(generator: str, step: Callable[[], None], count: int = 4) -> tuple[Turn, ...]:
    found = record(step, steps=count).randomness.turns
    return tuple(turn for turn in found if turn.generator == generator)


def test_the_first_step_has_no_turn_and_a_quiet_one_no_draws() -> None:
    found = turns("torch", step_with())
    assert [turn.step for turn in found] == [1, 2, 3]
    assert not any(turn.draws for turn in found)


def test_what_goes_on_from_where_it_was_never_repeats() -> None:
    found = turns("torch", step_with(lambda: torch.rand(1), lambda: torch.rand(2)))
    assert all(len(turn.draws) == 1 for turn in found)
    assert len({turn.draws for turn in found}) == 3


def fixed_numbers() -> None:
    torch.manual_seed(5)  # here
    torch.rand(3)


def test_a_seed_in_the_step_repeats_and_its_line_is_known() -> None:
    found = turns("torch", step_with(fixed_numbers))
    assert len({turn.draws for turn in found}) == 1 and all(turn.draws for turn in found)
    assert all(turn.line and turn.line.code.endswith(MARKED) for turn in found)


def set_seed() -> None:
    random.seed(5)
    np.random.seed(5)


def fixed_shift() -> None:
    set_seed()  # here
    random.random()
    np.random.rand()


@pytest.mark.parametrize("generator", ["Python", "NumPy"])
def test_a_function_for_seeding_is_told_by_its_call(generator: str) -> None:
    found = turns(generator, step_with(fixed_shift))
    assert len({turn.draws for turn in found}) == 1 and all(turn.draws for turn in found)
    assert all(turn.line and turn.line.code.endswith(MARKED) for turn in found)


def forked() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.rand(3)


def test_what_is_put_back_was_not_drawn() -> None:
    assert not any(turn.draws for turn in turns("torch", step_with(forked, forked)))


def unheard() -> None:
    torch.default_generator.manual_seed(0)
    torch.rand(1)


def test_a_generator_that_is_seeded_unheard_is_not_told() -> None:
    assert not any(turn.draws for turn in turns("torch", step_with(unheard)))


@torch.no_grad()
def evaluated() -> None:
    torch.manual_seed(0)
    torch.rand(3)
    nn.Linear(2, 2)(torch.rand(1, 2))


def test_what_is_drawn_with_gradients_off_does_not_count() -> None:
    assert not any(turn.draws for turn in turns("torch", step_with(evaluated)))


def test_each_kind_of_step_is_followed_by_itself() -> None:
    steps = {"one": step_with(fixed_numbers), "two": step_with(lambda: torch.rand(1))}
    with smokestep.backends.torch.open_world(lambda: smokestep.Training(steps), seed=0, steps=3) as world:
        streams = world.recording().randomness.streams()
    ways = {(s[0].name, s[0].generator): len({turn.draws for turn in s}) for s in streams}
    assert ways["one", "torch"] == 1 == ways["two", "torch"]  # the second goes on from where the first leaves off


def loop(before: Callable[[int], Any], steps: int = 4) -> list[tuple[Turn, ...]]:
    """The streams of torch's generator in a running loop."""
    with live(3) as world:
        step = step_with(between=lambda: torch.rand(2))
        for number in range(steps):
            before(number)
            step()
        streams = world.recording().randomness.streams()
    return [stream for stream in streams if stream[0].generator == "torch"]


def always(number: int) -> None:
    torch.manual_seed(0)  # here


def test_a_running_loop_that_seeds_each_turn() -> None:
    (stream,) = loop(always)
    assert len(stream) == 2 and len({turn.draws for turn in stream}) == 1 and stream[0].draws
    assert stream[0].line and stream[0].line.code.endswith(MARKED)


@pytest.mark.parametrize(
    "before", [lambda number: number or torch.manual_seed(0), lambda number: torch.manual_seed(number)]
)
def test_a_running_loop_that_seeds_once_or_always_anew(before: Callable[[int], Any]) -> None:
    (stream,) = loop(before)
    assert len({turn.draws for turn in stream}) == 2


def test_the_setters_are_as_they_were() -> None:
    before = random.seed, np.random.seed, torch.manual_seed, torch.random.manual_seed, torch.set_rng_state
    loop(lambda number: None)
    assert before == (random.seed, np.random.seed, torch.manual_seed, torch.random.manual_seed, torch.set_rng_state)
